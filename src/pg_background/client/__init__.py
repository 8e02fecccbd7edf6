"""The client: see `pg_background` for what of it is public."""
