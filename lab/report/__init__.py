"""The report of a session: one page that needs nothing else, to look at and to review."""
