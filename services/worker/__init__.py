"""The worker: applies the change log to PostgreSQL, and hosts the jobs that may run late or twice."""
