"""The servers that come in wheels: real Valkey, PostgreSQL and Caddy with nothing installed beforehand."""
