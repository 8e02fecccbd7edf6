"""A shop that a reader understands: customers order products. Made of random numbers with fixed seeds."""

from __future__ import annotations

from .session import Session

#: Real size.
ORDERS = 1_000_000

#: Fewer would leave the statements of the tour without an answer.
LEAST_ORDERS = 10_000

#: A second run begins as the first did, even if that was killed and left a job behind.
CLEAR = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'pg_background' AND state = 'active';
DROP TABLE IF EXISTS orders, products, customers, audit_log, monthly_sales;
DROP PROCEDURE IF EXISTS backfill_points;
"""

TABLES = """
CREATE TABLE customers (
  customer_id int PRIMARY KEY,
  name text NOT NULL,
  region text NOT NULL,
  joined_on date NOT NULL);
CREATE TABLE products (
  product_id int PRIMARY KEY,
  name text NOT NULL,
  category text NOT NULL,
  price numeric(8,2) NOT NULL);
CREATE TABLE orders (
  order_id int PRIMARY KEY,
  customer_id int NOT NULL,
  product_id int NOT NULL,
  ordered_at timestamptz NOT NULL,
  quantity int NOT NULL,
  amount numeric(10,2) NOT NULL)
"""

# The seed is set in the statement that draws: it can't be forgotten, nor moved by another statement.
CUSTOMERS = """
INSERT INTO customers
WITH seed AS MATERIALIZED (SELECT setseed(0.1))
SELECT n,
       (ARRAY['Ada', 'Bruno', 'Chika', 'Dana', 'Emil', 'Fatima', 'Goran',
              'Hana', 'Ines', 'Jonas'])[random(1, 10)] || ' ' ||
       (ARRAY['Almeida', 'Berg', 'Costa', 'Dubois', 'Evans', 'Fischer',
              'Garcia', 'Huang', 'Ivanov', 'Jensen'])[random(1, 10)],
       (ARRAY['Africa', 'Asia', 'Europe', 'North America',
              'South America'])[random(1, 5)],
       date '2020-01-01' + random(0, 1460)
FROM seed, generate_series(1, {customers}) AS n
"""

PRODUCTS = """
INSERT INTO products
WITH seed AS MATERIALIZED (SELECT setseed(0.2))
SELECT n, kind || ' ' || n, kind, random(2.00, 250.00)
FROM seed, generate_series(1, 400) AS n,
     LATERAL (SELECT (ARRAY['book', 'lamp', 'chair', 'kettle',
                            'bicycle'])[1 + n % 5]) AS category(kind)
"""

TWO_YEARS = 2 * 365 * 24 * 60 * 60

FILL_ORDERS = """
INSERT INTO orders
WITH seed AS MATERIALIZED (SELECT setseed(0.3)),
     drawn AS MATERIALIZED (
       SELECT n AS order_id,
              random(1, {customers}) AS customer_id,
              random(1, 400) AS product_id,
              timestamptz '2024-01-01'
                + n * interval '{pause} seconds' AS ordered_at,
              random(1, 5) AS quantity
       FROM seed, generate_series(1, {orders}) AS n)
SELECT order_id, customer_id, product_id, ordered_at, quantity,
       quantity * price
FROM drawn JOIN products USING (product_id)
"""

FOREIGN_KEYS = """
ALTER TABLE orders
  ADD FOREIGN KEY (customer_id) REFERENCES customers,
  ADD FOREIGN KEY (product_id) REFERENCES products
"""


def load(session: Session, orders: int) -> None:
    """Make the tables anew and fill them."""
    customers = orders // 20
    session.quietly(CLEAR)
    session.say("The tour is through a shop: customers, products, and two years of orders.")
    session.run(TABLES)
    session.say("All is drawn at random, with a fixed seed: each run makes the same shop.")
    with session.screen.busy("Loading …"):
        session.run(CUSTOMERS.format(customers=customers))
        session.run(PRODUCTS)
        session.run(FILL_ORDERS.format(customers=customers, orders=orders, pause=TWO_YEARS // orders))
        session.run(FOREIGN_KEYS)
    session.run("SELECT order_id, customer_id, ordered_at, amount\nFROM orders ORDER BY order_id LIMIT 3")
