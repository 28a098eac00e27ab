"""One line of a fixed height between status and charts: what went wrong, what an alarm says, what the files showed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from cpc_engine.config import in_words

from ..shell.errors import plain_errors, sentence
from ..shell.session import awake, has_ended, manager, run_now

if TYPE_CHECKING:
    from cpc_engine import Run
    from cpc_engine.evaluation.alarms import Alarm
    from cpc_engine.execution.progress import RunProgress

TRAINS = "Switches and sliders that are not gray act from the next step on, and are marked on all charts."
# The chart of the Negatives page that proves an alarm; empty: the page itself does.
PROOFS = {
    "collapse": "similarity",
    "dead_source": "similarity",
    "false_negatives": "false",
    "queue_depth": "ages",
    "drift": "stale",
    "noise": "safety",
    "no_gradient": "",
}
ENDED = "Turn a switch or a slider and press Start: the next run begins with these settings."


def show_notice(progress: RunProgress, run: Run) -> None:
    """The most important thing first; all of it behind one button, so that nothing below moves."""
    raised = _alarms(progress, run)
    fixes, lines = _fixes(raised, run), _remarks(run)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="notice"):
        severe = progress.status in ("failed", "diverged")
        if progress.message:
            _line("red" if severe else "blue", "error" if severe else "info", sentence(progress.message))
        elif raised:
            _line("orange", "warning", f"**{sentence(raised[0].message)}** {sentence(raised[0].advice)}")
        elif progress.status == "queued":
            _line("gray", "hourglass_empty", _turn(run.id))
        elif not has_ended(progress.status):
            _line("gray", "bolt", TRAINS)
        elif not progress.records:
            _line("blue", "info", "This run ended before its first step, so there is no curve.")
        elif lines:
            _line("gray", "info", sentence(lines[0]))
        else:
            _line("gray", "tune", ENDED)
        if raised:
            _proof(raised[0], run)
        for changes in fixes[:1]:
            _fix(run, changes, progress, f"fix-{run.id}")
        if progress.message or raised or lines:
            # The line ends in "…" where it is too short; a phone has the buttons behind this one alone.
            with st.popover("All notices", icon=":material/list:", type="tertiary", key="notices"):
                if progress.message:
                    (st.error if severe else st.info)(sentence(progress.message))
                for alarm in raised:
                    st.warning(f"**{sentence(alarm.message)}** {sentence(alarm.advice)}", icon=":material/warning:")
                    _proof(alarm, run)
                for number, changes in enumerate(fixes):
                    _fix(run, changes, progress, f"fix-{run.id}-{number}")
                for line in lines:
                    st.caption(sentence(line))


def _turn(run: str) -> str:
    """When a run that waits begins."""
    active = manager().active() if awake() else []
    ahead = active.index(run) if run in active else 0
    others = f"{ahead} other runs have" if ahead > 1 else "another run has"
    return f"Its turn comes when {others} ended." if ahead else "Its turn comes when a worker is free."


def _line(color: str, icon: str, text: str) -> None:
    mark = f":{color}[:material/{icon}:] " if color != "gray" else f":material/{icon}: "
    st.markdown(f"{mark}{text}", width="stretch")


def _proof(alarm: Alarm, run: Run) -> None:
    """A link to the picture that proves an alarm, where the run has weights to draw it from."""
    if alarm.kind not in PROOFS or not run.folder.has("weights"):
        return
    address = {"run": run.id, "loss": f"prediction-{alarm.where.partition(' ')[0]}"}
    address |= {"see": PROOFS[alarm.kind]} if PROOFS[alarm.kind] else {}
    address |= {"anchor": "false_share"} if alarm.kind == "false_negatives" else {}
    st.page_link("pages/negatives.py", label="See it", icon=":material/compress:", query_params=address)


def _alarms(progress: RunProgress, run: Run) -> list[Alarm]:
    from cpc_engine.evaluation.alarms import alarms

    items = run.info.data.get("items", {}).get("train")
    return alarms(progress.records, items, run_now(run)) if items else []


def _remarks(run: Run) -> list[str]:
    """What was found in the files: those skipped, copies, and groups."""
    data = run.info.data
    lines = list(data.get("remarks", ()))  # runs of earlier versions have none
    if data.get("skipped"):
        lines.append(f"{data['skipped']} files were skipped, for example {data['skipped_files'][0]}")
    return lines


def _fixes(raised: list[Alarm], run: Run) -> list[dict[str, Any]]:
    """What the alarms advise and the run does not have yet, each once: both modalities may advise the same."""
    settings = run_now(run).flat()
    advised = [alarm.changes for alarm in raised if any(settings[path] != to for path, to in alarm.changes.items())]
    return [changes for index, changes in enumerate(advised) if changes not in advised[:index]]


def _fix(run: Run, changes: dict[str, Any], progress: RunProgress, key: str) -> None:
    """One click that ends this run and trains another one with what the alarm advises."""
    if not st.button(f"Train again with {in_words(changes)}", icon=":material/build:", key=key):
        return
    with plain_errors():
        config = run_now(run).replace({"run.note": "", **changes})  # first: an error here must not cost the run
        if progress.id in manager().active():
            manager().stop(run.id)
        fixed = manager().start(config)
        st.switch_page("pages/train.py", query_params={"run": fixed})
