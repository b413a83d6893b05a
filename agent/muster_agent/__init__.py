"""The agent of one machine: measures it and reports to a Muster server. Reads only."""

__version__ = "0.1.0"
