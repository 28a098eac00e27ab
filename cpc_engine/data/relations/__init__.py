"""Which files belong together: copies of one another, and groups that stay in one split."""
