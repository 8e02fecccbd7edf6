"""Measurements, each against what it is to be compared with, in one run on servers of its own.

bench.py        `make bench`: all sections, with a report in build/bench
  sections.py   which there are
  context.py    what one is given, and has to be
  calls.py, sessions.py, shapes.py, client.py, growth.py, memory.py, imports.py    one each
  crowd.py      several sessions of psycopg at once
  page.py       the report: Markdown, JSON and charts
quick.py        `make bench-quick`
  rows.py       two million rows
  report.py     as a table and as JSON
hosts.py        the servers
ways.py         the ways to run a job: in the background, by dblink, not at all
latency.py      how long a call takes
throughput.py   jobs per second, by pgbench
figures.py      what was measured, and its ratios

instructions/   `make instructions`: what a call takes, counted
printing.py, starting.py    the command line
commands.py     what benchmarks of programs share
"""
