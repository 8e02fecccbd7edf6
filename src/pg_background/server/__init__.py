"""A PostgreSQL server of one's own with the extension in it: obtain, initialise, start, stop.

For a while:

```python
from pg_background.server import TemporaryServer

with TemporaryServer() as server:
    print(server.dsn())
```

To keep:

```python
from pg_background.server import Cluster, Installation, embedded, obtain, prepare

installation = Installation.from_pg_config(embedded.pg_config())
cluster = Cluster(data_directory)
cluster.provide(prepare(installation, obtain(installation), cluster.os_user))
cluster.init()
cluster.start()
cluster.create_extension()
print(cluster.dsn())
```
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import embedded
    from .building import Build, build
    from .cluster import Cluster, Status
    from .errors import (
        BuildError,
        DatabaseError,
        DataDirectoryError,
        DsnError,
        InstallationError,
        NotRunningError,
        NotWritableError,
        PortInUseError,
        ServerError,
        StartError,
        UnreachableError,
    )
    from .installation import Installation
    from .obtaining import obtain
    from .runtime import Runtime, prepare
    from .temporary import TemporaryServer

__all__ = [
    "Build",
    "BuildError",
    "Cluster",
    "DataDirectoryError",
    "DatabaseError",
    "DsnError",
    "Installation",
    "InstallationError",
    "NotRunningError",
    "NotWritableError",
    "PortInUseError",
    "Runtime",
    "ServerError",
    "StartError",
    "Status",
    "TemporaryServer",
    "UnreachableError",
    "build",
    "embedded",
    "obtain",
    "prepare",
]

#: Where the names come from: loaded when one is used, as most commands of the command line use none.
_MODULES = {
    "building": ("Build", "build"),
    "cluster": ("Cluster", "Status"),
    "errors": tuple(name for name in __all__ if name.endswith("Error")),
    "installation": ("Installation",),
    "obtaining": ("obtain",),
    "runtime": ("Runtime", "prepare"),
    "temporary": ("TemporaryServer",),
}

_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
