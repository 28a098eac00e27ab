"""The command line: parse, run one command, print either lines for people or one JSON document."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from ..errors import ConfigError, CpcError
from .parser import parse


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 success, 1 a run that diverged, 2 bad usage or input (one clear line), 130 interrupted by Ctrl-C."""
    try:
        options = parse(arguments)
        from . import commands  # not needed to refuse a misspelt command

        return commands.COMMANDS[options.command](options)
    except CpcError as error:
        if "--json" in arguments:
            print(json.dumps({"error": str(error)}))
        usage = " (see python -m cpc_engine --help)" if isinstance(error, ConfigError) and not arguments else ""
        print(f"error: {error}{usage}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
