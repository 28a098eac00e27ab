"""Which setting is better, by how much, and is it more than chance?"""

from __future__ import annotations

import streamlit as st

from ui._compat import inside_app
from ui.engine import manager, plain_errors, runs

inside_app()
st.title("Is it better, or only luck?")
infos = runs()


def begin() -> None:
    """Two settings of the 60-second run, two seeds each: enough for a first verdict."""
    from cpc_engine import preset
    from cpc_engine.runs.compare import changed_configs
    from ui.compare_data import show_also

    base = preset("tones").config().replace({"optimiser.steps": 120, "evaluation.every": 25})
    changes = [{"sampler.perturbed": False}, {"sampler.perturbed": True}]
    names = ["Tones", "Tones with noisy copies"]
    show_also([manager().start(config) for config in changed_configs(base, changes, (0, 1), names)])


own = [info for info in infos if not info.teaches]
if len(own) < 2:
    there = "There is no run of yours yet" if not own else "There is one run of yours, and nothing to hold it against"
    st.info(
        f"{there}. Two settings with two seeds each give a first verdict, in a few minutes.", icon=":material/balance:"
    )
    if st.button("Train two settings to compare", type="primary", icon=":material/play_arrow:", key="begin"):
        with plain_errors():
            begin()
if not infos:
    st.stop()

from cpc_engine.evaluation.compare import group  # noqa: E402
from ui import compare_data, compare_more, compare_view  # noqa: E402
from ui.compare_tables import overview  # noqa: E402

known = compare_data.known_settings(infos)
seeds = {run: seed for (_, seed), run in known.items()}
settings = group(compare_data.load(compare_data.choose(infos, seeds)))
if not settings:
    st.info(
        "Choose two or more runs above. Runs that differ only in their seed are taken together.",
        icon=":material/arrow_upward:",
    )
    if st.button("Compare the newest two", icon=":material/balance:", key="newest"):
        compare_data.show_also(info.id for info in infos[:2])
    st.stop()
more = compare_data.siblings(settings, known)
words = f"Add their {len(more)} other seed{'s' * (len(more) > 1)}"
if more and st.button(words, icon=":material/add:", key="siblings"):
    compare_data.show_also(more)
st.dataframe(overview(settings), hide_index=True)
compare_more.missing(settings, known)

st.header("Which is better", anchor="better")
reference = compare_view.measures(settings)
compare_more.probes([run for setting in settings for run in setting.runs])

if len(settings) > 1:
    st.header("What differs", anchor="differs")
    compare_view.settings_diff(settings)

st.header("Curves", anchor="curves")
compare_view.curves(settings)

st.header("Maps", anchor="maps")
if maps := compare_view.mapped(settings):
    from ui.compare_maps import show_maps

    show_maps(maps)
else:
    st.info("A run draws its map when it ends.", icon=":material/hourglass_empty:")

st.header("More runs", anchor="more")
compare_more.matrix(settings, known)

st.header("Take it with you", anchor="take")
with plain_errors():
    compare_view.take_along(settings, reference)
