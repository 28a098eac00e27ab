"""What every page shares: session, status bar, errors, links, run picker."""
