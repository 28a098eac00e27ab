"""README's tables of how fast things are, from the documents of the benchmarks."""

from __future__ import annotations

from .table_cells import Document, megabytes, met, milliseconds, table, where


def loss(d: Document) -> list[str]:
    shape, memory = d["shape"], d["memory_mb"]
    whole = f"{milliseconds(d['ours_ms'])}, one forward and backward pass"
    rows = [["ours", d["ours_ms"], "", memory.get("ours"), "every source, nothing masked (reference mode)"]]
    for name, words in (
        ("ours_stats", "the same, with source statistics"),
        ("ours_masked", "copies of the positive masked, with source statistics"),
        ("ours_shifted", "τ so small that exponentials need a shift"),
    ):
        rows.append([name.replace("_", ", "), d[f"{name}_ms"], "", memory.get(name), words])
    naive_words = "concatenate, multiply, cross-entropy: no masks, no source statistics"
    rows.append(["naive", d["naive_ms"], f"{d['speedup_naive']:.1f} ×", memory.get("naive"), naive_words])
    folded = {"linear_cross_entropy (folded)": d["linear_cross_entropy_folded"]}
    for name, peer in {**d["peers"], **folded}.items():
        subset = f"N = {peer['N']}, M = {peer['M']}: {peer['subset']}"
        rows.append([f"`{name}`", peer["ms"], f"{peer['speedup_vs']:.1f} ×", memory.get(name), subset])
    cells = [[name, milliseconds(ms), gain, megabytes(used), words] for name, ms, gain, used, words in rows]
    growth = [
        [str(r["M"]), milliseconds(r["ms"]), f"{r['ms_per_1k_candidates']:.3g}", megabytes(r["peak_mb"])]
        for r in d["sweep"]
    ]
    errors = ", ".join(f"{case} {error:.1e}" for case, error in d["gradient_error"].items())
    return [
        f"### The loss, {where(d)}",
        f"N = {shape['N']} anchors, M = {shape['M']} candidates, d = {shape['d']}: {whole}. Medians of {d['rounds']} "
        f"alternating rounds (`{d['command']}`). *Ours is faster* compares within the same rounds and on the same part "
        "of the problem; memory is the peak beyond the inputs, in a process of its own.",
        table(["loss", "time", "ours is faster", "extra memory", "what it expresses"], cells),
        f"Ours takes {d['roofline_ratio']:.2f} × the time of its bare matrix products "
        f"({milliseconds(d['products_ms'])}); the source statistics cost {d['stats_overhead'] - 1:+.1%}. "
        f"Gradients against float64, ‖Δ‖ ÷ ‖ref‖: {errors}.",
        table(["M", "time", "ms per 1000 candidates", "extra memory"], growth),
    ]


def training(d: Document) -> list[str]:
    rows = []
    for name, p in d["presets"].items():
        on, off = p["records_on"], p["records_off"]
        speed = [f"{on['steps_per_s']:.2f}", f"{off['steps_per_s']:.2f}", f"{off['items_per_s']:.0f}"]
        used = [f"{p['utilization']:.0%}"] if "utilization" in p else []
        gpu = [f"{p['gpu_utilisation']:.0%}"] if "gpu_utilisation" in p else []
        shares = [f"{on['loss_share']:.0%}", f"{on['encoder_share']:.0%}"]
        rows.append([f"`{name}`", str(p["batch_size"]), *speed, *shares, *used, *gpu])
    head = ["preset", "batch", "steps/s", "steps/s without records", "items/s without records", "loss", "encoders"]
    head += ["of the peak"] if any("utilization" in p for p in d["presets"].values()) else []
    head += ["GPU busy"] if any("gpu_utilisation" in p for p in d["presets"].values()) else []
    return [
        f"### Training, {where(d)}",
        "Loss and encoders are shares of a step's time, records on; *of the peak*, where it was measured, is the rate "
        f"of a step's matrix products and convolutions against that of large ones, in the same run (`{d['command']}`).",
        table(head, rows),
    ]


def presets(d: Document) -> list[str]:
    rows = []
    for name, found in d["presets"].items():
        ranks = [f"{m} {rank['mean']:.1f} ± {rank['half'] or 0:.1f}" for m, rank in found["effective_rank"].items()]
        times = [f"{found[key]:.0f} s" for key in ("seconds_to_first_map", "seconds")]
        rows.append([f"`{name}`", ", ".join(ranks), f"{found['bar']:g}", *times])
    seeds, threads = next(iter(d["presets"].values()))["seeds"], d["machine"]["threads"]
    return [
        "### Presets that make their own data: spread, and the first map",
        "Effective rank of mean contexts of held-out items, their mean subtracted, mean ± half width of a 95 % "
        f"Student-t interval over {seeds} seeds; the slowest seed's times, from the start of the run, with {threads} "
        f"thread{'s' * (threads > 1)} "
        f"(`{d['command']}`). A first map within 60 s was asked for.",
        table(["preset", "effective rank", "bar", "first map", "whole run"], rows),
    ]


_MOMENTS = ("first_page", "first_run", "training", "click", "edit", "neighbors", "payload", "first_paint", "map")


def app(d: Document) -> list[str]:
    page, first, training, click, edit, near, payload, paint, points = (d[name] for name in _MOMENTS)
    sizes = payload["kb_by_recorded_steps"]
    kept = ", ".join(f"{kb:.0f} KB at {int(steps):,}" for steps, kb in sizes.items())
    waits = ", ".join(f"{page} {seconds:.2f} s" for page, seconds in paint["median_s"].items())
    shown = f"first card with {paint['runs']} stored runs"
    rows = [
        ["first page of a server that has just started", *_seconds(page["median_s"], 2)],
        ["first curve after the first click", *_seconds(first["curve"], 2)],
        ["first map after it", *_seconds(first["map"], 10)],
        ["an edit of the form, median", *_milliseconds(edit["p50_ms"], 300)],
        [
            "training speed with its page open, of that with it closed",
            f"{training['share']:.1%}",
            "≥ 95 %",
            met(training["met"]),
        ],
        ["click to paint while a run trains, median", *_milliseconds(click["p50_ms"], 350)],
        ["the same, 9 of 10", *_milliseconds(click["p90_ms"], 700)],
        [
            "one refresh of a run's page, by recorded steps",
            kept,
            "≤ 100 KB, growing by a fifth at most",
            met(payload["met"]),
        ],
        ["click on a dot to its neighbors, median", *_milliseconds(near["p50_ms"], 800)],
        [shown, waits, "≤ 1.5 s", met(paint["met"])],
        [f"a map of {points['points']:,} points is drawn in", f"{points['drawn_s']:.1f} s", "", ""],
        ["a frame while panning over it, rendered in software", *_milliseconds(points["frame_ms"], 150)],
    ]
    with_bar = [row[3] for row in rows if row[3]]
    return [
        f"### The app, {where(d)}",
        f"In Chromium on the same processor, which renders in software (`{d['command']}`): of {len(with_bar)} bars "
        f"{with_bar.count(met(False)) or 'none'} missed.",
        table(["what", "measured", "bar", "met"], rows),
    ]


def _seconds(value: float, bar: float) -> list[str]:
    return [f"{value:.2f} s", f"≤ {bar:g} s", met(value <= bar)]


def _milliseconds(value: float, bar: float) -> list[str]:
    return [milliseconds(value), f"≤ {milliseconds(bar)}", met(value <= bar)]


def placing(d: Document) -> list[str]:
    bars = {"idle": "nothing else runs", "training": "a run trains"}
    rows = [
        [
            words,
            milliseconds(d["page"][state]["p50_ms"]),
            milliseconds(d["page"][state]["p90_ms"]),
            f"≤ {d['bars_p50_s'][state]:g} s",
            met(d["page"][state]["met"]),
        ]
        for state, words in bars.items()
    ]
    return [
        "### From the end of a recording to the lit point",
        f"On the page Place with `{d['run']}`, {d['page']['idle']['recordings']} recordings each (`{d['command']}`).",
        table(["while", "median", "9 of 10", "bar (median)", "met"], rows),
        *_embedding(d),
    ]


def _embedding(d: Document) -> list[str]:
    """What `cpc embed` costs; results from before it was measured have none of it."""
    if "command_line" not in d:
        return []
    embed, torch = d["command_line"]["embed"], d["command_line"]["import_torch"]
    reached = [met(embed["cpu_s"] <= 2), met(embed["peak_mib"] <= 600)]
    return [
        f"`cpc embed` with one file takes {embed['cpu_s']:.1f} s of processor time (bar 2 s: {reached[0]}) and at most "
        f"{embed['peak_mib']:,.0f} MiB (bar 600 MiB: {reached[1]}). Importing torch alone takes {torch['cpu_s']:.1f} s "
        f"and {torch['peak_mib']:,.0f} MiB."
    ]
