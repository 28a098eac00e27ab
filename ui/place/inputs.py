"""Ways to bring something to a run: microphone, files, camera, samples, a synthesizer, a drawing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st

from cpc_engine.terms import ITEM_NOUNS, Modality

from ..components.draw import drawing
from ..components.items import show_sound
from ..drawing.pictures import wav
from ..drawing.text import plain_name
from .items import Place, add, take

if TYPE_CHECKING:
    from cpc_engine.data.signals import Wave
    from cpc_engine.maps.exploration import Exploration

WAYS = {
    "microphone": "Microphone",
    "files": "Files",
    "camera": "Camera",
    "samples": "Samples",
    "synthesizer": "Make a sound",
    "draw": "Draw",
}
NEEDS: dict[str, Modality] = {"microphone": "audio", "camera": "image", "synthesizer": "audio", "draw": "image"}
INKS = {"white on black": ("#ffffff", "#000000"), "black on white": ("#000000", "#ffffff")}


def show_inputs(place: Place) -> None:
    """The ways in for the run's modalities; what comes in is kept by `ui.place.items`."""
    placer = place.placer
    ways = [way for way in WAYS if NEEDS.get(way, placer.modalities[0]) in placer.modalities]
    if place.exploration.data is None:
        ways.remove("samples")
    way = st.pills(
        "From",
        ways,
        default=ways[0],
        required=True,
        format_func=WAYS.__getitem__,
        key="way",
        bind="query-params",
        wrap=True,
    )
    if way == "microphone":
        # Recorded at least as fine as the run listens; everything is resampled on the way in.
        rate = 16000 if placer.sample_rate <= 16000 else 48000
        recording = st.audio_input(f"Record about {placer.clip_seconds:g} s", sample_rate=rate, key="mic")
        if not recording:
            st.caption(
                "Nothing is heard? The browser asks for a microphone once, and gives it to localhost and HTTPS only."
            )
        take([recording] if recording else [], "recording")
    elif way == "files":
        from cpc_engine.media import PICTURES, SOUNDS

        sounds, pictures = (modality in placer.modalities for modality in ("audio", "image"))
        kinds = [*(SOUNDS if sounds else ()), *(PICTURES if pictures else ())]
        take(st.file_uploader("Sounds or pictures", kinds, accept_multiple_files=True, key="files", max_upload_size=20))
    elif way == "camera":
        _camera()
    elif way == "samples":
        _samples(place.exploration)
    elif way == "synthesizer":
        _synthesizer(placer.sample_rate, placer.clip_seconds)
    else:
        _draw()


def _camera() -> None:
    # Asked for only now: the browser would want a permission as soon as the page opens.
    if st.toggle("Use the camera", key="camera-on"):
        photo = st.camera_input("Take a photo", key="camera", resolution="480p")
        take([photo] if photo else [], "photo")


def _samples(exploration: Exploration) -> None:
    items = exploration.items
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox("Class", items.classes, format_func=plain_name, key="sample-class", width=240)
        kinds = list(dict.fromkeys(items.modalities))
        kind = kinds[0]
        if len(kinds) > 1:
            kind = st.segmented_control(
                "Kind",
                kinds,
                default=kind,
                required=True,
                format_func=lambda modality: ITEM_NOUNS[modality][0],
                key="sample-kind",
            )
        pressed = st.button("Place one of these", icon=":material/shuffle:", key="sample")
    st.caption("Items of the run's own data that it never trained on.")
    if pressed:
        rows = [row for row in items.of(kind, "test").tolist() if items.classes[int(items.labels[row])] == label]
        if not rows:
            st.info("The map holds no item of this class.")
            return
        row = int(np.random.default_rng().choice(rows))
        add(items.names[row], exploration.media(row))


def _synthesizer(rate: int, seconds: float) -> None:
    from cpc_engine.data.signals import KEYS, SHAPES, synthesize
    from cpc_engine.media import Sound

    kinds: dict[Wave | Literal["noise"], str]
    kinds = {"tone": "Tone", "dtmf": "Phone key", "chirp": "Chirp", "noise": "Noise"}
    kind = st.segmented_control(
        "Sound", list(kinds), default="tone", required=True, format_func=kinds.__getitem__, key="synth"
    )
    settings: dict[str, Any] = {"seconds": seconds, "rate": rate}
    noise = 0.2
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if kind == "dtmf":
            settings["key"] = st.segmented_control("Key", list(KEYS), default="5", required=True, key="synth-key")
            name = f"key {settings['key']}"
        elif kind == "chirp":
            settings["shape"] = st.selectbox("Shape", SHAPES, key="synth-shape", width=160)
            settings["frequency"] = _hertz("Lowest pitch (Hz)", 300, rate / 2.1 / 2**1.5)
            name = f"chirp {settings['shape']}"
        elif kind == "tone":
            settings["frequency"] = _hertz("Pitch (Hz)", 440, rate / 2.1)
            name = f"tone of {settings['frequency']:.0f} Hz"
        else:
            name = "noise"
        if kind != "noise":
            noise = st.slider("Noise", 0.0, 0.3, 0.01, 0.01, key="synth-noise", width=200)
    if kind == "noise":
        settings["level_db"] = -math.inf
    seed = st.session_state.get("placed-last", 0)  # another phase and other noise every time
    wave_kind: Wave = "tone" if kind == "noise" else kind
    samples = synthesize(wave_kind, noise=noise, seed=seed, **settings)
    if kind == "dtmf":  # pressed and let go within the clip, as people do
        pressed = slice(len(samples) * 3 // 20, len(samples) * 4 // 5)
        key = samples[pressed]
        samples = synthesize("tone", noise=noise, seed=seed, seconds=seconds, rate=rate, level_db=-math.inf)
        samples[pressed] = key
    show_sound(wav(samples, rate))
    if st.button("Place this sound", type="primary", icon=":material/my_location:", key="synth-place"):
        add(name, Sound(samples, rate))


def _hertz(label: str, usual: float, highest: float) -> float:
    top = math.floor(highest)
    return float(
        st.slider(label, 60, max(top, 61), int(min(usual, top)), 1, key=f"synth-{label.partition(' ')[0]}", width=320)
    )


def _draw() -> None:
    ink = st.segmented_control("Ink", list(INKS), default="white on black", required=True, key="ink")
    png = drawing(*INKS[ink], key="drawing")
    if png:
        from cpc_engine.media import decode_sandboxed

        add("drawing", decode_sandboxed(png, "drawing"))
