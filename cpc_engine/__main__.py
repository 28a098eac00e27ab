"""`python -m cpc_engine …` is the command line; see `cli`."""

import sys

from .cli import run

sys.exit(run())
