"""Makes the agents that an installation offers, signs them, and says how a machine gets one."""
