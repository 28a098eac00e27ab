"""README's tables of how far the measures can be trusted, from the documents of the benchmarks."""

from __future__ import annotations

from .table_cells import Document, met, percent, table


def typicality(d: Document) -> list[str]:
    rows = []
    for one in d["runs"]:
        for kind, found in {**one["kinds"], "all of them": one["overall"]}.items():
            low, high = found["interval"]
            measured = [f"{found['auroc']:.3f}", f"{low:.3f} to {high:.3f}", f"{found['called_unlike']:.0%}"]
            rows.append([f"`{one['run']}`", kind, *measured])
        known = one["held_out"]
        rows.append([f"`{one['run']}`", "held-out items themselves", "", "", f"{known['called_unlike']:.1%}"])
    return [
        "### Does a run know what it never learned from?",
        "AUROC of typicality, held-out items against unlike items, with 95 % bootstrap intervals over items of one run "
        "each (`python -m benchmarks.typicality`; the bar is 0.9).",
        table(["run", "unlike items", "AUROC", "95 % interval", 'called "unlike"'], rows),
    ]


def evaluation(d: Document) -> list[str]:
    rows = [
        [
            name,
            str(found["items"][0]),
            f"{found['probes']['seconds']:.1f} s",
            f"{found['probes']['before_seconds']:.1f} s",
            f"{found['total']['seconds']:.1f} s",
            f"{found['total']['before_seconds']:.1f} s",
            f"{100 * found['largest_gap']:.2f} points",
        ]
        for name, found in d["tasks"].items()
    ]
    head = ["data", "training items", "probes", "by scikit-learn", "with embedding", "by scikit-learn", "largest error"]
    reached = met(all(found["total_ratio"] >= 6 for found in d["tasks"].values()))
    return [
        "### Evaluation",
        "Time of all probes and nearest neighbors of a run, beside the probes by scikit-learn as they were before, and "
        "the largest difference in test accuracy from a converged regression (`python -m benchmarks.evaluate`). Those "
        "by scikit-learn take at most 1000 iterations, converged or not. A sixth of their time was asked for: "
        f"{reached}.",
        table(head, rows),
    ]


def patches(d: Document) -> list[str]:
    rows = [
        [name, count, *(percent(row[kind]) for kind in ("kmeans_global", "kmeans_quarters")), f"{row['seconds']:.0f} s"]
        for name, found in d["tasks"].items()
        for count, row in found.items()
    ]
    seeds = min(row["seeds"] for found in d["tasks"].values() for row in found.values())
    over = f"mean ± half width of a 95 % interval over {seeds} seeds and test items" if seeds > 1 else "of one seed"
    return [
        "### k-means patches",
        f"Test accuracy by the number of centroids, {over}; features have as many dimensions as there are centroids, "
        "pooled 2 × 2 four times as many. The time is that of all baselines of a seed, their probes included "
        f"(`{d['command']}`).",
        table(["data", "centroids", "pooled globally", "pooled 2 × 2", "time"], rows),
    ]


def false_alarms(d: Document) -> list[str]:
    def share(found: Document) -> str:
        low, high = found["interval"]
        return f"{found['share']:.1%} ({low:.1%} to {high:.1%})"

    equal, different = ([case for case in d["cases"] if bool(case["gap"]) == gap] for gap in (False, True))
    kinds = [
        [
            f"{case['shape']}, ρ = {case['correlation']:g}",
            str(case["arms"]),
            f"{case['seeds']}, {'the same' if case['same_seeds'] else 'others'}",
        ]
        for case in equal
    ]
    return [
        "### How often does a comparison of equal settings name a better arm?",
        f"Simulated comparisons of {d['metrics']} metrics whose values over seeds are correlated by ρ, "
        f"{equal[0]['comparisons']} each, with 95 % Wilson intervals (`{d['command']}`; the bar is 5 %). Uncorrected: "
        "any of the same tests with p < 5 %.",
        table(
            ["values", "arms", "seeds", "a verdict anywhere", "uncorrected"],
            [
                [*kind, share(case["any_verdict"]), share(case["any_uncorrected"])]
                for kind, case in zip(kinds, equal, strict=True)
            ],
        ),
        "How often is a true difference of the primary metric found (two arms, normal values, the same seeds)?",
        table(
            ["difference in standard deviations", "seeds", "found"],
            [[f"{case['gap']:g}", str(case["seeds"]), share(case["primary_found"])] for case in different],
        ),
    ]


def coverage(d: Document) -> list[str]:
    rows = []
    for case in d["cases"]:
        size = f"{case['seeds']} × {case['folds']} × {case['items']}"
        share = f"{case['accuracy']:.0%}" + ("" if case["against"] is None else f" − {case['against']:.0%}")
        shares = [
            f"{case[name]['share']:.1%} (± {100 * case[name]['half']:.1f} points)"
            for name in ("hierarchical", "seeds_only")
        ]
        rows.append([size, case["effects"], share, case["covers"], *shares])
    draws = d["cases"][0]["draws"]
    return [
        "### Do the intervals of accuracies hold the true one?",
        "Simulated networks whose right and wrong answers on test items depend on seed, fold, and item; in every draw "
        f"all three are new (`{d['command']}`). Share of {draws} draws in which the 95 % interval holds the true "
        "accuracy, or the true difference on the same items, and its mean half width. Few folds of very different "
        "difficulty are not normal, which a t interval cannot know.",
        table(["seeds × folds × items", "simulated", "true", "our interval is over", "ours", "over seeds alone"], rows),
    ]


def ordering(d: Document) -> list[str]:
    words = {"first": "the first items of every class", "drawn": "drawn and balanced, as the engine does"}
    rows = [
        [
            words[name],
            f"{row['speakers']['mean']:.1f}",
            f"{row['offset']['mean']:.2f} ± {row['offset']['spread']:.2f}",
            f"{row['borderline']['mean']:.1%} ± {row['borderline']['spread']:.1%}",
        ]
        for name, row in d["choices"].items()
    ]
    return [
        "### If the first items of a class stood for it",
        f"Made-up sounds of four classes by six speakers, sorted with the quietest speaker first (`{d['command']}`). "
        "Speakers among the items for metrics; the largest mean of a standardized mel band over all training clips, "
        "which should be 0; held-out items of the loudest speaker that typicality calls borderline, of which 5 % is "
        "right. Mean and standard deviation over draws of the data.",
        table(["a sample is", "speakers", "band off by", "borderline"], rows),
    ]


def leaks(d: Document) -> list[str]:
    met = [
        [f"`{name}`", str(row["items"]), ", ".join(f"{n} {m}" for m, n in row["distinct"].items())]
        + [f"{row[kind]:.1%}" for kind in ("by_row", "by_content")]
        for name, row in d["unmasked"].items()
    ]
    scores = [
        [name, str(row["files"]), str(row["groups"])]
        + [f"{row[kind]['mean']:.1%} ± {row[kind]['spread']:.1%}" for kind in ("single", "grouped")]
        for name, row in d["inflation"].items()
    ]
    return [
        "### If copies were not recognized",
        "Share of a batch's items whose own sound or picture is an unmasked negative of them, with items numbered by "
        f"row and, as the engine does, by content (`{d['command']}`).",
        table(["data set", "pairs", "distinct", "by row", "by content"], met),
        "Accuracy of the nearest training item on made-up files whose two classes cannot be told apart, so that 50 % "
        "is right: a third of the pictures have a copy, the sounds are four takes of each recording. Mean and standard "
        "deviation over random splits.",
        table(["files of", "files", "groups", "each file by itself", "copies and takes in one split"], scores),
    ]
