"""Backfills: a statement over a big table, in small jobs."""
