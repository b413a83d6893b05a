"""Brings the agent to what its server offers, and back when that does not work."""
