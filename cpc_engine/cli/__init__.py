"""Command line: parse the arguments, run one command, and print text or one JSON document."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from ..errors import CpcError
from .parser import PROGRAM, parse


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code.

    Args:
        arguments: without the name of the program.

    Returns:
        0 on success, 1 if a run diverged, 2 for bad usage or input (with one line on stderr), 130 after Ctrl-C.
    """
    try:
        options = parse(arguments)
        from . import commands  # imported late: a misspelled command fails without it

        return commands.COMMANDS[options.command](options)
    except CpcError as error:
        if "--json" in arguments:
            print(json.dumps({"error": str(error)}))
        usage = "" if arguments else f" (see {PROGRAM} --help)"
        print(f"error: {error}{usage}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout has closed it, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run() -> int:
    """Entry point of the command `cpc`, with the arguments of this process."""
    return main(sys.argv[1:])
