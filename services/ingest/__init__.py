"""Ingest: the door for agents. They enrol, say what they are, and post samples, which go into the change log."""
