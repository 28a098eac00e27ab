"""One frozen run as a small page and an API for others: `python share.py RUN`.

Nothing is trained, no other run is mentioned, and what people send is gone when it ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cpc_engine.errors import ConfigError, CpcError, RunError
from cpc_engine.storage.remote.mirrors import local_root

LOOPBACK = ("127.0.0.1", "localhost")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="share.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("run", metavar="RUN", help="a run's folder or id")
    parser.add_argument(
        "--runs",
        type=local_root,
        metavar="DIR",
        help="folder of runs, or s3://bucket/prefix ($CPC_RUNS, or checkpoints/)",
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (7860)")
    parser.add_argument("--host", default=LOOPBACK[0], help="address to listen on; 0.0.0.0 lets other machines in")
    parser.add_argument("--export", type=Path, metavar="DIR", help="write a folder for a model-hosting space instead")
    parser.add_argument("--mcp", action="store_true", help="also a tool for MCP clients (needs gradio[mcp])")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 after Ctrl-C, 2 bad usage, a run that cannot be used, or a port that is taken (one clear line)."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the uploads go away then, too
    try:
        options = parse(arguments)
        if options.export:
            export(options)
        else:
            serve(options)
    except CpcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped")
    return 0


def serve(options: argparse.Namespace) -> None:
    """Listen until interrupted.

    Raises:
        RunError: the run cannot be used.
        ConfigError: MCP is not installed, or the address cannot be listened on.
    """
    if options.mcp and find_spec("mcp") is None:
        raise ConfigError('--mcp needs more of Gradio than is installed: pip install "gradio[mcp]"')
    import cpc_engine as cpc
    from cpc_engine.media import start_sandbox

    run = cpc.open(options.run, options.runs or folder_of_runs())
    start_sandbox()  # it gets ready while the run is loaded
    placer = run.placer
    with tempfile.TemporaryDirectory(prefix="cpc-share-") as uploads:
        os.environ |= {"GRADIO_TEMP_DIR": uploads, "GRADIO_ANALYTICS_ENABLED": "False"}  # read at import
        from ui.share.page import build_page

        page = build_page(placer)
        try:
            _, address, _ = page.launch(**settings(options, Path(uploads)))
        except OSError as error:
            raise ConfigError(f"cannot listen on {options.host}:{options.port}: {error}") from None
        try:
            if options.mcp and not page.mcp_server:
                raise RunError(f"{page.mcp_error}")
            print(f"{run.id} on {address} (Ctrl-C ends it)", flush=True)
            while True:
                time.sleep(3600)
        finally:
            page.close(verbose=False)


def export(options: argparse.Namespace) -> None:
    """Write the folder and name what is in it.

    Raises:
        CpcError: the run cannot be shown, or the folder cannot be written.
    """
    import cpc_engine as cpc
    from ui.share.publish import publish

    files = publish(cpc.open(options.run, options.runs or folder_of_runs()).folder, options.export)
    print(f"{options.export}: {', '.join(map(str, files))}")


def folder_of_runs() -> Path:
    """$CPC_RUNS, or checkpoints/ beside this file, or in the working directory where there is none beside it."""
    from cpc_engine.storage.folder import default_root

    beside = Path(__file__).resolve().with_name("checkpoints")
    return beside if not os.environ.get("CPC_RUNS") and beside.is_dir() else default_root()


def settings(options: argparse.Namespace, uploads: Path) -> dict[str, Any]:
    """How Gradio serves the page: nothing fetched, nothing shown of errors or files, nothing stored in browsers."""
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from ui.share.guard import MAX_FILE_BYTES, Guard
    from ui.share.parts import CSS

    middleware = [Middleware(Guard, uploads=uploads)]
    if options.host in LOOPBACK:  # a web page elsewhere may have its name lead here
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK)))
    return {
        "server_name": options.host,
        "server_port": options.port,
        "share": False,
        "show_error": False,
        "max_file_size": MAX_FILE_BYTES,
        "max_threads": 8,
        "enable_monitoring": False,
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": options.mcp,
        "footer_links": ["api"],
        "css": CSS,
        "quiet": True,
        "prevent_thread_lock": True,
        "app_kwargs": {"middleware": middleware},
    }


if __name__ == "__main__":
    sys.exit(main())
