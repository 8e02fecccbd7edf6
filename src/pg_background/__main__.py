"""`python -m pg_background` is `pg-background`."""

from .cli import main

main()
