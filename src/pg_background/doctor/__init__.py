"""Look at a server as a user of pg_background and say what is missing or ill-chosen, with the remedy.

```python
import psycopg
from pg_background import doctor

with psycopg.connect("dbname=shop", autocommit=True) as connection:
    for finding in doctor.examine(doctor.collect(connection)):
        print(finding)
```
"""

from .asking import collect
from .checks import examine
from .cluster import examine_cluster
from .finding import Finding, Grade
from .server_info import ServerInfo

__all__ = ["Finding", "Grade", "ServerInfo", "collect", "examine", "examine_cluster"]
