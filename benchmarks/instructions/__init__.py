"""`make instructions`: how many instructions a call takes, counted by callgrind, against a stored baseline.

Times depend on what else a machine does, these counts hardly: so a change that makes a call dearer is found
on any machine that has a baseline.

__main__.py     the command
server.py       a server under callgrind
dumps.py        what callgrind writes
counting.py     what is counted, and how
baseline.py     the stored counts, for each kind of machine
baseline.json   them
"""
