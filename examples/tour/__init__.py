"""The parts of `examples/demo.py`.

server.py   a PostgreSQL of the demo's own
shop.py     what it works on: a shop's customers, products and orders
session.py  run a statement and show it
screen.py   how things are shown
stops.py    the seven stops of the tour
"""
