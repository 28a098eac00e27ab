"""CPC Lab in the browser: `streamlit run app.py`. What every page shares; the pages themselves are in `pages/`."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# Before the menu: else Streamlit takes the icon of the page, from another host. For our own it imports NumPy, for which
# the first page does not wait; an emoji, which the browser draws by itself, stands there until then.
icon = str(Path(__file__).with_name("ui") / "icon.svg")
imported = "numpy" in sys.modules
st.set_page_config(page_icon=icon if imported else "🔊", layout="wide")
# First of all, before anything slow: until it is called, Streamlit lists the files of pages/ instead of this menu.
page = st.navigation(
    [
        st.Page("pages/start.py", title="Start", icon=":material/home:", url_path="home", default=True),
        st.Page("pages/train.py", title="Train", icon=":material/tune:", url_path="train"),
        st.Page("pages/runs.py", title="Runs", icon=":material/folder_open:", url_path="runs"),
        st.Page("pages/compare.py", title="Compare", icon=":material/balance:", url_path="compare"),
        st.Page("pages/sweeps.py", title="Sweeps", icon=":material/grid_view:", url_path="sweeps"),
        st.Page("pages/explore.py", title="Explore", icon=":material/scatter_plot:", url_path="explore"),
        st.Page("pages/negatives.py", title="Negatives", icon=":material/compress:", url_path="negatives"),
        st.Page("pages/break_it.py", title="Break it", icon=":material/bolt:", url_path="break_it"),
        st.Page("pages/place.py", title="Place", icon=":material/my_location:", url_path="place"),
        # The first page is at "/" only, whatever its name.
        st.Page("pages/start_by_name.py", title="Start", url_path="start", visibility="hidden"),
        st.Page("pages/watch.py", title="Train", url_path="watch", visibility="hidden"),
    ],
    position="top",
)

st.set_page_config(page_title=f"{page.title} · CPC Lab" if page.url_path else "CPC Lab")  # a tab names its page

from ui.shell.address import current_address  # noqa: E402
from ui.shell.errors import plain_errors  # noqa: E402
from ui.shell.health.memory import give_back_memory  # noqa: E402
from ui.shell.health.reload import reload_if_empty  # noqa: E402
from ui.shell.presentation import presentation  # noqa: E402
from ui.shell.session import prepare  # noqa: E402
from ui.shell.status import shows_runs, style, working_bar  # noqa: E402

current_address()
style()
reload_if_empty()
presentation()
if not shows_runs(page.url_path):
    working_bar()
give_back_memory()  # before threads of a page ask for any
with plain_errors():
    page.run()
if not imported:
    st.set_page_config(page_icon=icon)
# Last: while the page imports, too, both could get half of a package (NumPy, as it happened).
prepare()
