"""Api: accounts, records and machines over HTTP, for people and programs."""
