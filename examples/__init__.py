"""What the extension is for: `demo` shows all of it, each other file one idea.

Run one as `python -m examples.audit_log [DSN]`.
"""
