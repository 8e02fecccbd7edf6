"""SQL in PostgreSQL background workers: the Python side of the extension of the same name."""
