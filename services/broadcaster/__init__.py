"""The broadcaster: keeps every connected client at the version of the log."""
