"""What the stages of a step look like, as HTML: a large picture of each, and a small one for the way through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import torch

from ...drawing.palette import GRAY, SOURCE_STYLES
from ...drawing.text import source_label
from .stages import percent
from .tensors import WIDEST, by_position, input_image, shown_positions, signed_image, strip

if TYPE_CHECKING:
    from cpc_engine.anatomy.lineup import Strip
    from cpc_engine.anatomy.one_step import OneStep

TICKS = 120  # candidates of a source that are drawn
STRETCHES = 60  # of a queue that are drawn
PLANE = 110  # half the side of the picture of the gradient
POSITIVE = GRAY


def encode(step: OneStep, grid: int | None) -> str:
    """The input beside its latents; `grid`: cells per side of a picture, None for a sound."""
    length = len(step.latents.values)
    marks = "".join(_piece(at, length, grid, kind) for kind, at in _marked(step))
    picture = f'<div class="view"><img alt="" src="{input_image(step.input.values)}">{marks}</div>'
    return _figure(picture, f"input {step.input.shape}") + _arrow() + _latents(step)


def context(step: OneStep) -> str:
    """The latents beside the contexts."""
    of = f"; {WIDEST} of {step.contexts.shape[-1]} numbers" if step.contexts.shape[-1] > WIDEST else ""
    made = _heat(step, step.contexts.values)
    return _latents(step) + _arrow() + _figure(made, f"contexts {step.contexts.shape}{of}")


def predict(step: OneStep) -> str:
    """Prediction, positive and their products, number by number."""
    prediction, positive = step.prediction.values
    products = prediction * positive
    rows = [("prediction", prediction), ("positive", positive), ("their products", products)]
    if step.read is not None:
        rows.insert(0, (f"context {step.read.last + 1}", step.contexts.values[step.read.last]))
    lines = [
        _row(name, "", f'<img class="strip show" style="--i:{i}" alt="" src="{signed_image(strip(vector))}">', "")
        for i, (name, vector) in enumerate(rows)
    ]
    similarity = f"{step.outcome.lineup.similarity:.3f}, the sum of all products"
    if max(len(vector) for _, vector in rows) > WIDEST:
        similarity += f"; {WIDEST} numbers of each vector are shown"
    return _rows([*lines, _row("similarity", "", "", similarity)])


def gather(step: OneStep) -> str:
    """How many candidates come from each source, and how many are masked."""
    strips = step.outcome.lineup.strips
    most = max(len(one.items) for one in strips.values())
    lines = []
    for i, (name, one) in enumerate(strips.items()):
        kept = int(one.counts.sum())
        masked = len(one.items) - kept
        facts = [f"{kept:,}"] + ([f"{masked:,} masked"] if masked else []) + (["no gradient"] if one.detached else [])
        parts = [(kept / most, _color(name), ""), (masked / most, _color(name), "faint")]
        lines.append(_row(source_label(name), _color(name), _bar(parts, i), ", ".join(facts)))
    return _rows(lines)


def logits(step: OneStep) -> str:
    """Where the candidates of each source lie by similarity, and the positive among them."""
    lineup = step.outcome.lineup
    low, high = _range(step)
    place = 100 * (lineup.similarity - low) / (high - low)
    lines = []
    for i, (name, one) in enumerate(lineup.strips.items()):
        hardest = float(one.similarities[one.counts].max()) if bool(one.counts.any()) else None
        value = "all masked" if hardest is None else f"up to {hardest:.2f}, logit {_logit(step, hardest):.1f}"
        ruler = f'<span class="ruler grow" style="--i:{i}">{_ticks(one, low, high)}</span>{_upright(place)}'
        lines.append(_row(source_label(name), _color(name), ruler, value))
    own = f"{lineup.similarity:.2f}, logit {_logit(step, lineup.similarity):.1f}"
    ends = f'<span class="ends"><b>{low:.1f}</b><b>{high:.1f}</b></span>{_upright(place)}'
    return _rows([*lines, _row("positive (line)", POSITIVE, ends, own)])


def loss(step: OneStep) -> str:
    """The softmax as one bar, and the anchor's loss beside the batch's and chance."""
    lineup = step.outcome.lineup
    parts = [(lineup.positive, POSITIVE, "")]
    parts += [(float(one.mass.sum()), _color(name), "") for name, one in lineup.strips.items()]
    values = {
        "this anchor": lineup.loss,
        "mean of the batch": step.outcome.loss,
        "chance": step.chance,
    }
    most = max(values.values())
    lines = [_row("softmax", "", _bar(parts, 0), f"positive {percent(lineup.positive)}")]
    for i, (name, value) in enumerate(values.items()):
        lines.append(_row(name, "", _bar([(max(value, 0) / most, "currentColor", "thin")], i + 1), f"{value:.3f} nats"))
    return _rows(lines)


def gradient(step: OneStep) -> str:
    """The forces on the prediction as arrows, and the shares of the negatives' part by source."""
    strips = step.outcome.lineup.strips
    most = max(max(one.total for one in strips.values()), 1e-6)
    lines = []
    for i, (name, one) in enumerate(strips.items()):
        false = one.total * one.false_share
        parts = [((one.total - false) / most, _color(name), ""), (false / most, _color(name), "hatched")]
        lines.append(_row(source_label(name), _color(name), _bar(parts, i), f"{one.total:.1%}, {false:.1%} own"))
    return _plane(step) + f'<div class="beside">{_rows(lines)}</div>'


def enqueue(step: OneStep) -> str:
    """The queue before and after the step, the newest on the right."""
    turnover = step.queue
    if turnover is None:
        return '<p class="none">no queue</p>'
    lines = []
    for name, content in (("before", turnover.before), ("after", turnover.after)):
        held = sum(count for _, count in content)
        newest = _color("in_batch" if name == "after" else "queue")
        cells = "".join(
            f'<i style="flex-grow:{count};--color:{newest if last else _color("queue")}"></i>'
            for count, last in _stretches([count for _, count in content])
        )
        room = turnover.capacity - held
        empty = f'<i style="flex-grow:{room};--color:transparent"></i>' if room else ""
        value = f"{held:,} of {turnover.capacity:,}, {len(content)} {'batch' if len(content) == 1 else 'batches'}"
        lines.append(_row(name, _color("queue"), f'<span class="tape {name}">{empty}{cells}</span>', value))
    lines.append(_row("enter", "", "", f"{turnover.entering:,}, {turnover.own:,} of this item"))
    lines.append(_row("leave", "", "", f"{turnover.leaving:,}, the oldest"))
    return _rows(lines)


def _stretches(counts: Sequence[int]) -> list[tuple[int, bool]]:
    """Latents of each batch and whether it is the newest; many batches are drawn together, but for the newest."""
    old = counts[:-1]
    together = max(1, -(-len(old) // STRETCHES))
    grouped = [(sum(old[i : i + together]), False) for i in range(0, len(old), together)]
    return [*grouped, *((count, True) for count in counts[-1:])]


def small(step: OneStep) -> list[str]:
    """A small picture of each stage, in their order."""
    lineup = step.outcome.lineup
    strips, queue = lineup.strips, step.queue
    low, high = _range(step)
    total = sum(len(one.items) for one in strips.values())
    sources = [(len(one.items) / total, _color(name), "") for name, one in strips.items()]
    softmax = [(lineup.positive, POSITIVE, "")]
    softmax += [(float(one.mass.sum()), _color(name), "") for name, one in strips.items()]
    shares = [(one.total, _color(name), "") for name, one in strips.items()]
    rulers = "".join(f'<span class="ruler">{_ticks(one, low, high)}</span>' for one in strips.values())
    held = _stretches([count for _, count in queue.after]) if queue else []
    tape = [(count / queue.capacity, _color("in_batch" if last else "queue"), "cell") for count, last in held if queue]
    return [
        f'<img alt="" src="{input_image(step.input.values)}">',
        f'<img class="wide" alt="" src="{signed_image(by_position(step.contexts.values, step.target))}">',
        f'<img class="wide" alt="" src="{signed_image(step.prediction.values[:, :WIDEST])}">',
        _bar(sources, 0),
        f'<span class="rulers">{rulers}</span>',
        _bar(softmax, 0),
        _bar(shares, 0),
        _bar(tape, 0) if queue else '<span class="none">no queue</span>',
    ]


def _marked(step: OneStep) -> list[tuple[str, int]]:
    found = [("begin", None if step.read is None else step.read.last), ("target", step.target)]
    return [(kind, at) for kind, at in found if at is not None]


def _latents(step: OneStep) -> str:
    return _figure(_heat(step, step.latents.values), f"latents {step.latents.shape}")


def _heat(step: OneStep, values: torch.Tensor) -> str:
    """Vectors from left to right, with the positions that the anchor is about marked."""
    shown = shown_positions(len(values), step.target)
    count = shown.stop - shown.start
    marks = "".join(
        f'<span class="mark {kind}" style="left:{(at - shown.start) / count:.2%};width:{1 / count:.2%}"></span>'
        for kind, at in _marked(step)
        if shown.start <= at < shown.stop
    )
    image = f'<img alt="" src="{signed_image(by_position(values, step.target))}">'
    return f'<div class="heat"><span class="scan" style="--n:{count}">{image}</span>{marks}</div>'


def _piece(at: int, length: int, grid: int | None, kind: str) -> str:
    """A frame around one position of the input."""
    if grid is None:
        box = (100 * at / length, 0.0, 100 / length, 100.0)
    else:
        box = (100 * (at % grid) / grid, 100 * (at // grid) / grid, 100 / grid, 100 / grid)
    left, top, width, height = (f"{number:.2f}%" for number in box)
    return f'<span class="mark {kind}" style="left:{left};top:{top};width:{width};height:{height}"></span>'


def _plane(step: OneStep) -> str:
    """The prediction's moves in the plane of itself (upward) and its positive (to the right)."""
    moves = step.arrows
    longest = max(max(abs(x) for x in move) for move in moves.values()) or 1.0
    scale = (PLANE - 16) / longest

    def line(name: str, color: str, width: float, extra: str = "") -> str:
        along, across = moves[name]
        x, y = across * scale, -along * scale
        return (
            f'<path class="pull" d="M0 0L{x:.1f} {y:.1f}" stroke="{color}" stroke-width="{width}"{extra}/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1}" fill="{color}"/>'
        )

    drawn = [line(name, _color(name), 3) for name in moves if name not in ("positive", "all")]
    drawn += [line("positive", POSITIVE, 3), line("all", "currentColor", 2, ' stroke-dasharray="5 4"')]
    words = "The prediction is pulled to its positive (gray) and pushed from the negatives of each source (its color)."
    axes = (
        f'<text x="{PLANE - 2}" y="-5" text-anchor="end">to its positive</text>'
        f'<text x="5" y="{12 - PLANE}">along itself</text>'
    )
    svg = (
        f'<svg class="plane" role="img" aria-label="{words}" viewBox="{-PLANE} {-PLANE} {2 * PLANE} {2 * PLANE}">'
        f'<path d="M{-PLANE} 0H{PLANE}M0 {-PLANE}V{PLANE}" stroke="currentColor" stroke-opacity="0.2"/>{axes}'
        f"{''.join(drawn)}</svg>"
    )
    return _figure(svg, "gray: the pull, dashed: all together")


def _range(step: OneStep) -> tuple[float, float]:
    """The ends of the ruler: what occurs among the similarities, to a tenth."""
    lineup = step.outcome.lineup
    found = [one.similarities[one.counts] for one in lineup.strips.values()] + [torch.tensor([lineup.similarity])]
    values = torch.cat(found)
    low, high = float(values.min()), float(values.max())
    return low - 0.02 * (high - low) - 1e-6, high + 0.02 * (high - low) + 1e-6


def _ticks(one: Strip, low: float, high: float) -> str:
    """Marks of the strongest candidates of a source, and of others evenly spread over its similarities."""
    ordered = one.similarities[one.counts].sort(descending=True).values
    shown = torch.cat([ordered[:8], ordered[8 :: max(1, len(ordered) // TICKS)]]).tolist()
    lines = "".join(f"M{1000 * (value - low) / (high - low):.0f} 0V10" for value in shown)
    color = _color(one.source)
    path = f'<path d="{lines}" stroke="{color}" stroke-width="1.5" vector-effect="non-scaling-stroke"/>'
    return f'<svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{path}</svg>'


def _logit(step: OneStep, similarity: float) -> float:
    return similarity / step.temperature


def _upright(place: float) -> str:
    return f'<span class="upright" style="left:{place:.2f}%"></span>'


def _bar(parts: Iterable[tuple[float, str, str]], number: int) -> str:
    """Parts (share of the width, color, class) in a row."""
    cells = "".join(
        f'<i class="{kind}" style="width:{100 * max(share, 0):.2f}%;--color:{color}"></i>'
        for share, color, kind in parts
    )
    return f'<span class="bar grow" style="--i:{number}">{cells}</span>'


def _row(name: str, color: str, drawing: str, value: str) -> str:
    dot = f'<i class="dot" style="--color:{color}"></i>' if color else ""
    picture = f'<span class="drawing">{drawing}</span>' if drawing else ""
    kind = "" if drawing else " plain"
    label = f'<span class="name">{dot}{escape(name)}</span>'
    return f'<div class="row{kind}">{label}{picture}<span>{escape(value)}</span></div>'


def _rows(lines: Sequence[str]) -> str:
    return f'<div class="rows">{"".join(lines)}</div>'


def _figure(body: str, caption: str) -> str:
    return f"<figure>{body}<figcaption>{escape(caption)}</figcaption></figure>"


def _arrow() -> str:
    return '<span class="arrow" aria-hidden="true">→</span>'


def _color(source: str) -> str:
    return SOURCE_STYLES[source].color
