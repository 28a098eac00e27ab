"""Time to accuracy, side by side: ours, its peers and its baselines on the same data, threads and seconds.

    python -m benchmarks.learning --rows FILE [--sets A,B] [--methods A,B] [--budgets 60,180,600] [--seeds 5] …
    python -m benchmarks.learning --rows FILE --report [--out benchmarks/results/learning.json]

Every run is a process of its own and one line in FILE, stored as the run ends. What is stored already is skipped, so a
measurement can be broken off and taken up again. `tasks` and `methods` say what is trained on what, `clock` how a
budget is kept, `judge` how features are judged, and `report` what the table and the figure hold.
"""
