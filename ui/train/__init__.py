"""The Train page: set a run up, and steer and watch it while it trains."""
