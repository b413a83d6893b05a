"""Sweeper: tells which servers have gone silent, and when the silence is our own fault."""
