"""What programs send that know nothing of Muster, made into samples of the agent whose credential they have."""
