"""The web page of one or many servers: what runs, what ran and what it cost. Needs the extra `web`.

```python
from pg_background.web import create_app

app = create_app("host=db.example.com dbname=shop")   # an ASGI app, to be served or mounted
```
"""

from __future__ import annotations

from .app import WebApp, create_app
from .targets import Target

__all__ = ["Target", "WebApp", "create_app"]
