"""The demo, and examples with one idea each: `python -m examples.audit_log [DSN]`."""
