"""The exporter, and the files for Prometheus, Grafana and others."""
