"""The Break it page: recipes that break training, each with its prediction, a control, and what was measured."""
