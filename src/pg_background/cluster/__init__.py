"""Jobs on many servers, with one interface: those of a Citus cluster, or any of which the DSNs are known."""
