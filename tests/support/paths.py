"""Where things lie in the repository."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
APP = REPOSITORY / "app.py"
SCRIPTS = Path(__file__).with_name("apps")  # small Streamlit scripts for browser tests
