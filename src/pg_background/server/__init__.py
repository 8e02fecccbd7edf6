"""A PostgreSQL server of one's own with the extension in it: build, initialise, start, stop.

For a while:

```python
from pg_background.server import TemporaryServer

with TemporaryServer() as server:
    print(server.dsn())
```

To keep:

```python
from pg_background.server import Cluster, Installation, build, embedded, prepare

installation = Installation.from_pg_config(embedded.pg_config())
cluster = Cluster(data_directory)
cluster.provide(prepare(installation, build(installation), cluster.os_user))
cluster.init()
cluster.start()
cluster.create_extension()
print(cluster.dsn())
```
"""

from . import embedded
from .build import Build, build
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
    "prepare",
]
