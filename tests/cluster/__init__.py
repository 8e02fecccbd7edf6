"""Jobs on many servers: the extension pg_background_cluster, and the clients of a cluster."""
