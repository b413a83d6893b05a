"""What the agent can measure: one module for one thing, each giving fields of a sample."""
