"""PostgreSQL: the pool, named queries, the migrations' folder."""

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
"""Numbered migrations in dbmate's form."""
