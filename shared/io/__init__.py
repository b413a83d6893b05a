"""Adapters: the only code that talks to Redis, PostgreSQL, the network and the operating system."""
