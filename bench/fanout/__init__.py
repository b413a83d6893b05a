"""How cheaply one broadcaster, pinned to one core, serves many WebSockets; against others in the same run."""
