"""What keeps a page and its server going."""
