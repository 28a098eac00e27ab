"""Buttons that steer a run."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from cpc_engine import manager_for
from cpc_engine.storage.folder import RunFolder
from cpc_engine.storage.listing import list_runs
from tests.support.tiny import tiny, wait_until
from ui.shell.errors import sentence

pytest_plugins = ["tests.support.pages"]


def drawn(run: str) -> None:
    import streamlit as st

    from ui.components.run_controls import controls
    from ui.shell.session import manager

    if st.session_state.pop("again", False):
        st.rerun()  # as a page does that starts again because the run has gone on meanwhile
    controls(manager().progress_of(run))


def test_a_click_counts_although_the_page_starts_again_before_the_button(runs: Path) -> None:
    manager = manager_for(runs)
    run = manager.start(tiny().replace({"optimizer.steps": 20000}))
    wait_until(lambda: manager.progress_of(run).status == "running", "the run to begin")
    test = AppTest.from_function(drawn, default_timeout=120, args=(run,)).run()
    test.session_state["again"] = True
    test.button(key=f"stop-{run}").click().run()
    assert not test.exception
    wait_until(lambda: manager.progress_of(run).status == "stopped", "the run to stop")
    assert [one.label for one in test.run().button] == ["Resume"]


def test_what_can_not_be_done_is_said(runs: Path) -> None:
    manager = manager_for(runs)
    run = manager.start(tiny().replace({"optimizer.steps": 20000}))
    wait_until(lambda: manager.progress_of(run).status == "running", "the run to begin")
    test = AppTest.from_function(drawn, default_timeout=120, args=(run,)).run()
    manager.stop(run)
    wait_until(lambda: manager.progress_of(run).status == "stopped", "the run to stop")
    test.button(key=f"pause-{run}").click().run()
    assert not test.exception
    assert [one.value for one in test.toast] == [sentence(f"{run} is not going on in this process")]


def undoing(run: str) -> None:
    from ui.components.run_controls import undo_button
    from ui.shell.session import manager

    undo_button(manager().progress_of(run))


def test_what_was_changed_on_the_way_is_undone_in_a_fork(runs: Path) -> None:
    manager = manager_for(runs)
    config = tiny(optimizer__steps=20000, sampler__perturbed=True)
    run = manager.start(config)
    wait_until(lambda: manager.progress_of(run).step > 2, "the run to begin")
    assert not AppTest.from_function(undoing, default_timeout=120, args=(run,)).run().button, "nothing was changed"
    manager.change(run, "sampler.sigma", 0.7)
    wait_until(lambda: any(e["kind"] == "change" for e in manager.progress_of(run).events), "the change to act")
    assert not AppTest.from_function(undoing, default_timeout=120, args=(run,)).run().button, "it still goes on"
    manager.stop(run)
    wait_until(lambda: manager.progress_of(run).status == "stopped", "the run to stop")
    test = AppTest.from_function(undoing, default_timeout=120, args=(run,)).run()
    test.button(key=f"undo-{run}").click().run()
    made = [RunFolder(runs / info.id) for info in list_runs(runs) if info.id != run]
    for folder in made:
        manager.stop(folder.id)
    assert sorted(folder.info().name.rpartition(": ")[2] for folder in made) == ["control", "without its changes"]
    assert {folder.config().sampler.sigma for folder in made} == {config.sampler.sigma}
    wait_until(lambda: not manager.active(), "both to end")
