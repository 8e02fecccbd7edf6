"""Measurements, each against what it is to be compared with, in one run on servers of its own.

quick.py        `make bench-quick`
hosts.py        the servers
ways.py         the ways to run a job: in the background, by dblink, not at all
latency.py      how long a call takes
throughput.py   jobs per second
rows.py         two million rows
growth.py       what grows with the jobs in the server
figures.py      what was measured, and its ratios
report.py       as a table and as JSON
"""
