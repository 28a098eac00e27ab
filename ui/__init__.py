"""The app: a package per page, and what pages share."""
