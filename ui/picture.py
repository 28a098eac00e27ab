"""The picture that says what contrastive predictive coding does."""

from __future__ import annotations

from .palette import SOURCES

LABELS = ("same batch", "memory", "noisy copies", "shuffled", "other sense")
PLACES = (30, 180, 300, 460, 590)
TEXT = (
    "A sound or picture is cut into pieces. A network reads the pieces so far and predicts the next one. "
    "The prediction is drawn to the true next piece and pushed away from wrong ones, which come from five sources."
)


def method_svg() -> str:
    """Pieces → context → prediction, drawn to the true next piece and pushed from five sources; colours of the lab."""
    bars = "".join(
        f'<rect x="{20 + 46 * i}" y="{62 - 5 * (i % 3)}" width="38" height="{60 + 10 * (i % 3)}" rx="5" '
        f'fill="currentColor" opacity="{0.22 + 0.07 * i}"/>'
        for i in range(5)
    )
    wrong = "".join(
        f'<circle cx="{x}" cy="232" r="10" fill="{style.color}"/><text x="{x + 16}" y="238">{label}</text>'
        for x, label, style in zip(PLACES, LABELS, SOURCES.values(), strict=True)
    )
    return f"""<svg style="max-width: 46rem" viewBox="0 0 760 262" role="img" aria-label="{TEXT}" fill="currentColor"
 font-size="18" font-family="inherit"><g>{bars}</g>
<text x="20" y="34">what it has heard or seen</text>
<path d="M258 92h46" stroke="currentColor" stroke-width="2.5"/><path d="M312 92l-12-7v14z"/>
<circle cx="362" cy="92" r="42" fill="none" stroke="currentColor" stroke-width="2.5"/>
<text x="362" y="98" text-anchor="middle">context</text>
<path d="M408 92h56" stroke="currentColor" stroke-width="2.5" stroke-dasharray="6 5"/><path d="M474 92l-12-7v14z"/>
<rect x="482" y="58" width="38" height="68" rx="5" fill="none" stroke="currentColor" stroke-width="2.5"
 stroke-dasharray="5 4"/>
<text x="501" y="34" text-anchor="middle">predicted</text>
<path d="M530 92h84" stroke="#009e73" stroke-width="4"/><path d="M534 92l12-7v14zM614 92l-12-7v14z" fill="#009e73"/>
<text x="572" y="120" text-anchor="middle">draw</text>
<rect x="624" y="58" width="38" height="68" rx="5" opacity="0.6"/>
<text x="643" y="34" text-anchor="middle">true next piece</text>
<path d="M501 134v40" stroke="#d55e00" stroke-width="4"/><path d="M501 184l-8-14h16z" fill="#d55e00"/>
<text x="514" y="166">push</text><text x="20" y="200">wrong pieces, from five sources</text>{wrong}</svg>"""
