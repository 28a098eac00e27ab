"""The Gradio page of one frozen run, and its API: the only module that imports gradio."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import gradio as gr
import plotly.graph_objects as go

from cpc_engine.placing import Placed

from .parts import base_map, heading_html, likely, lit_map, near_html, verdict_html

if TYPE_CHECKING:
    from cpc_engine.placing import Placer

AT_ONCE = 2  # one hostile file may take seconds: the others do not wait for it
WAITING = 64  # more are told that the queue is full
KEPT_SECONDS = 600  # uploads, for the page's own player
Shown = tuple[go.Figure, str, dict[str, Any], str]


def build_page(placer: Placer) -> gr.Blocks:
    """The page over a run, with the endpoint `/place` for programs; not launched yet."""
    base = base_map(placer.map)

    def place(file: str) -> dict[str, Any]:
        """Place a sound or a picture on the map of a trained network.

        Args:
            file: a sound (WAV, FLAC, OGG, MP3) or a picture (PNG, JPEG, WebP, GIF)

        Returns:
            {"file", "status": "ok", "x", "y", "neighbors", "probabilities", "typicality", "verdict", "notes", ...} or
            {"file", "status": "error", "error": one line}
        """
        return _place(placer, file).to_dict()

    def show(file: str | None) -> Shown:
        placed = None if file is None else _place(placer, file)
        placement = placed and placed.placement
        chances = likely(placement) if placement else {}
        return (
            go.Figure(lit_map(base, placer.map, placement) if placement else base),
            verdict_html(placed) if placed else "",
            gr.update(value=chances, visible=bool(chances)),
            near_html(placement) if placement else "",
        )

    limits: dict[str, Any] = {"concurrency_limit": AT_ONCE, "concurrency_id": "place"}
    title = f"{placer.config.run.name or placer.folder.id} · CPC Lab"
    page: gr.Blocks = gr.Blocks(title=title, analytics_enabled=False, delete_cache=(60, KEPT_SECONDS))
    with page:
        gr.HTML(heading_html(placer))
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                inputs = _inputs(placer.modalities)
                verdict = gr.HTML()
                bars = gr.Label(label="Class probabilities", num_top_classes=5, visible=False, show_heading=False)
            with gr.Column(scale=3, min_width=300):
                shown = gr.Plot(go.Figure(base), show_label=False, elem_classes="cpc-map")
                near = gr.HTML()
        for given in inputs:
            given.change(show, given, [shown, verdict, bars, near], api_visibility="private", **limits)
        sent, answer = _sent(gr.File(visible=False, label="file")), gr.JSON(visible=False, label="placement")
        name = "sound.wav" if "audio" in placer.modalities else "picture.png"
        # For "Use via API"; Gradio's own example is an address, which this demo does not take.
        sent.example_payload = lambda: {"path": name, "url": name, "meta": {"_type": "gradio.FileData"}}
        gr.Button(visible=False).click(place, sent, answer, api_name="place", **limits)
        page.queue(max_size=WAITING)
    return page


def _inputs(modalities: Sequence[str]) -> list[Any]:
    """An input for each modality of the run, on tabs where it has both."""
    inputs: list[Any] = []
    if "audio" in modalities:
        with gr.Tab("Sound") if len(modalities) > 1 else nullcontext():
            sources: Any = ["microphone", "upload"]
            inputs.append(_sent(gr.Audio(sources=sources, type="filepath", label="Sound", buttons=["download"])))
    if "image" in modalities:
        with gr.Tab("Picture") if len(modalities) > 1 else nullcontext():
            sources = ["upload", "webcam"]
            inputs.append(_sent(gr.Image(sources=sources, type="filepath", label="Picture", buttons=[], height=300)))
    return inputs


def _place(placer: Placer, file: str | None) -> Placed:
    if file is None:
        return Placed("", None, "no file was sent")
    # The name that it came with: where it lies here is nobody's business.
    return replace(placer.place_all([file])[0], name=Path(file).name)


def _sent(component: Any) -> Any:
    """`component`, made to take files that were sent: it fetches none from an address and opens none in this process.

    MCP clients name what they have sent by its address here, which is taken for the file itself.
    Set on the object, since Gradio writes a stub file beside every module that derives from its components.
    """
    keep = component.async_move_resource_to_block_cache

    async def keep_sent(path: str | Path | None) -> str | None:
        if str(path).lower().startswith(("http://", "https://")):
            path = unquote(str(path).partition("/gradio_api/file=")[2])
            if not Path(path).resolve().is_relative_to(Path(component.GRADIO_CACHE).resolve()):
                raise gr.Error("send the file itself, not its address", print_exception=False)
        kept: str | None = await keep(path)
        return kept

    component.async_move_resource_to_block_cache = keep_sent
    component.preprocess = lambda payload: payload and payload.path
    return component
