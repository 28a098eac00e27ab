"""The model card of a run, from its own figures: what it is, learned from, is worth, and is not for.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv 1810.03993).
"""

from __future__ import annotations

import json
from typing import Any

from ..comparison.collect import chosen_probes
from ..datasets import DATASETS
from ..evaluation.alarms import has_collapsed, newest_geometry
from ..storage.folder import RunFolder
from ..terms import ITEM_NOUNS

_ORIGINS = {
    "generated": "made by the lab from a seed",
    "download": "a public data set that is fetched by name",
    "folder": "files of whoever trained it; they are not part of this folder",
}


def model_card(folder: RunFolder) -> str:
    """Markdown, with the header that a Gradio space of a model-hosting site reads.

    Raises:
        RunError: the run has not learned yet, or its folder is damaged.

    Example:
        >>> import cpc_engine as cpc
        >>> print(model_card(cpc.open("example-tones").folder).splitlines()[1])
        title: "Tones"
    """
    config, info, facts = folder.config(), folder.info(), folder.facts()
    title = info.name or folder.id
    data = DATASETS[config.data.dataset]
    reads = " and ".join(ITEM_NOUNS[modality][1] for modality in facts["modalities"])
    header = ["---", f"title: {json.dumps(title)}", "sdk: gradio", "app_file: app.py", "pinned: false", "---"]
    network = [
        f"A small encoder of {reads}, trained with contrastive predictive coding (van den Oord et al. 2018) in CPC "
        f"Lab. It places a new item beside the held-out items it is most like. It has "
        f"{info.parameters:,} parameters and was trained for {info.steps_done} of {info.steps} steps on "
        f"{info.device or 'an unknown device'}, seed {config.run.seed}.",
        *(["", f"Note of whoever trained it: {config.run.note}"] if config.run.note else []),
    ]
    items = ", ".join(f"{count:,} {split}" for split, count in facts.get("items", {}).items())
    learned = [
        f"{data.title}: {data.summary} It is {_ORIGINS[data.origin]}. Items: {items or 'not known'}. "
        f"Classes ({len(facts['classes'])}): {', '.join(facts['classes'])}. Labels were not used to train the network"
        f"{', but they decide which sound and picture are a pair' if len(facts['modalities']) > 1 else ''}; they color "
        "the map and train the probe.",
    ]
    return "\n".join(
        [
            *header,
            "",
            f"# {title}",
            "",
            *network,
            "",
            "## Data",
            "",
            *learned,
            "",
            "## What it is worth",
            "",
            *_figures(folder),
            "",
            "## Limits",
            "",
            *_limits(folder, facts, reads),
            "",
            "## Use",
            "",
            "`pip install -r requirements.txt`, then `python app.py`, and open the address that it prints. The page "
            "and its API decode what they are sent in a process of its own and delete it after some minutes.",
            "",
        ]
    )


def _figures(folder: RunFolder) -> list[str]:
    """A table of probes beside their baselines, or that there is none."""
    evaluation = folder.json("evaluation")
    if evaluation is None:
        return ["The run was not evaluated: no accuracy is known, and the page predicts no class."]
    lines = [
        f"Accuracy on {evaluation['test_items']:,} test items, of a logistic regression on frozen features; the "
        "feature and its regularization were chosen on validation items. The interval (95 %, Wilson) covers the choice "
        "of test items, not of seed or split: this is one run.",
        "",
        "| reads | feature | this network | 95 % | untrained network | raw input |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    names = {id(row): name for name, row in evaluation["probe"].items()}
    for modality, row in chosen_probes(evaluation["probe"]).items():
        low, high = row["interval"]
        reads, feature = modality or folder.facts()["modalities"][0], names[id(row)].rpartition(".")[2]
        shares = [f"{row['trained']:.1%}", f"{low:.1%} to {high:.1%}", f"{row['untrained']:.1%}", f"{row['raw']:.1%}"]
        lines.append(f"| {' | '.join([reads, feature, *shares])} |")
    return lines


def _limits(folder: RunFolder, facts: dict[str, Any], reads: str) -> list[str]:
    config = folder.config()
    lines = [
        f"- It knows the {len(facts['classes'])} classes above and no others: whatever it is given, it names one of "
        "them. Typicality says how unlike the held-out items something is; a low value means that the rest means "
        "little.",
        f"- It is small and meant to teach and to explore {reads}. It was not tested for fairness, safety, or any "
        "decision about people.",
        "- Differences to the untrained network and to raw input within the interval are no merit of training.",
    ]
    if "audio" in facts["modalities"]:
        rate = config.audio.sample_rate
        lines.append(f"- It hears {config.audio.clip_seconds:g} s at {rate:,} Hz: nothing above {rate // 2:,} Hz.")
    if "image" in facts["modalities"]:
        lines.append(f"- It sees the center square of a picture at {config.image.size} × {config.image.size} px.")
    if has_collapsed(newest_geometry(folder.records())):
        lines.append(
            "- Its latents have collapsed: all are nearly one, so neighbors and places on the map mean little."
        )
    if not folder.has("ood"):
        lines.append("- Typicality was never measured for this run.")
    return lines
