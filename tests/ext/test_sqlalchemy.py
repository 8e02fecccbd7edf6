# Made from test_sqlalchemy_async.py by tools/async_to_sync.py: edit that one.
"""Statements of SQLAlchemy as jobs: what comes back is what its own execute() returns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, Executable, bindparam, create_engine, func, insert, select, text, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import joinedload, selectinload

from pg_background.ext.sqlalchemy import launch

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import closed_gate
from ..support.shop_models import Base, Customer, Order, Status, some
from ..support.sqlalchemy_sessions import MadeSession


@pytest.fixture
def engine(place: Place) -> Iterator[Engine]:
    made = create_engine(place.url("postgresql+psycopg"))
    with made.begin() as connection:
        Base.metadata.create_all(connection)
    with MadeSession(made) as session:
        session.add_all(some())
        session.commit()
    yield made
    made.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[MadeSession]:
    with MadeSession(engine) as made:
        yield made


def test_objects(session: MadeSession) -> None:
    statement = select(Order).where(Order.total > 11, Order.status == Status.PAID).order_by(Order.id)
    job = launch(session, statement, label="paid")
    orders = (job.result(timeout=60)).scalars().all()
    assert [(order.id, order.total, order.day, order.code, order.details) for order in orders] == [
        (11, Decimal("11.50"), date(2026, 1, 2), "a11", {"gift": True}),
        (21, Decimal("21.50"), date(2026, 2, 2), "a21", {"gift": True}),
    ]
    assert job.job.label == "paid"
    # They are those of the session.
    assert session.get(Order, 11) is orders[0]


def test_rows(session: MadeSession) -> None:
    statement = (
        select(Customer.name, func.sum(Order.total).label("total"), func.count())
        .join(Customer.orders)
        .where(Order.id.in_([10, 11, 20]), Customer.name.like("%b 100%"))
        .group_by(Customer.name)
    )
    row = ((launch(session, statement)).result()).one()
    assert row == ("Bob 100%", Decimal("20.50"), 1)
    assert row.total == Decimal("20.50")


def test_loader_options(session: MadeSession) -> None:
    for option in (selectinload(Customer.orders), joinedload(Customer.orders)):
        statement = select(Customer).options(option).order_by(Customer.id)
        customers = ((launch(session, statement)).result()).unique().scalars().all()
        assert [[order.id for order in customer.orders] for customer in customers] == [[10, 11], [20, 21]]
        session.expunge_all()


def test_parameters(session: MadeSession) -> None:
    statement = select(Order.id).where(Order.code == bindparam("code"))
    assert ((launch(session, statement, {"code": "a20"})).result()).scalar_one() == 20
    plain = text("SELECT '100%', 5 % :n")
    assert ((launch(session, plain, {"n": 3})).result()).one() == ("100%", 2)


def test_rows_of_the_same_name(session: MadeSession) -> None:
    statement = select(Customer.id, Order.id).join(Customer.orders).where(Order.id == 21)
    assert ((launch(session, statement)).result()).one() == (2, 21)


def test_writing(session: MadeSession) -> None:
    job = launch(session, insert(Customer).values(id=3, name="Cem").returning(Customer))
    assert (job.result()).scalar_one().name == "Cem"
    session.rollback()
    assert session.scalar(select(func.count()).select_from(Customer)) == 3
    several = insert(Customer).values([{"id": 4, "name": "Dee"}, {"id": 5, "name": "Eve"}])
    (launch(session, several)).result()
    assert session.scalar(select(func.count()).select_from(Customer)) == 5


def test_update_of_objects_that_the_session_has(session: MadeSession) -> None:
    ann = session.get(Customer, 1)
    assert ann is not None
    session.rollback()
    session.refresh(ann)
    job = launch(session, update(Customer).where(Customer.id == 1).values(name="Anna"))
    assert not (job.result()).returns_rows  # type: ignore[attr-defined]
    session.rollback()
    session.refresh(ann)
    assert ann.name == "Anna"


def test_how_many_rows_were_written(session: MadeSession) -> None:
    statements: list[Executable] = [
        text("UPDATE orders SET code = 'x' WHERE id IN (10, 11)"),
        text("INSERT INTO customers (id, name) VALUES (91, 'a'), (92, 'b')"),
        text("DELETE FROM customers WHERE id IN (91, 92)"),
        update(Order).values(code="y").where(Order.id == 0),
    ]
    counts = []
    for statement in statements:
        result: Any = (launch(session, statement)).result()
        counts.append(result.rowcount)
    assert counts == [2, 2, 2, 0]


def test_core(engine: Engine) -> None:
    with engine.connect() as connection:
        table = Order.__table__
        job = launch(connection, select(table.c.status).order_by(table.c.id).limit(2))
        assert (job.result()).scalars().all() == [Status.OPEN, Status.PAID]
        series = func.generate_series(1, 3000).table_valued("n").render_derived()
        assert len(((launch(connection, select(series.c.n))).result()).all()) == 3000


def test_settings_of_the_session(session: MadeSession) -> None:
    session.execute(text("SET LOCAL work_mem = '7MB'"))
    assert ((launch(session, text("SHOW work_mem"))).result()).scalar_one() == "7MB"


def test_the_session_goes_on_meanwhile(session: MadeSession, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = launch(session, text(gate.sql))
        session.add(Customer(id=9, name="Zoe"))
        # It is not flushed, as the job would not see it.
        assert session.new
        with pytest.raises(TimeoutError, match="goes on"):
            job.result(timeout=0)
        session.commit()
    assert (job.result()).one() == ("",)


def test_errors_do_not_spoil_the_transaction(session: MadeSession) -> None:
    session.add(Customer(id=9, name="Zoe"))
    session.flush()
    failing = launch(session, text("SELECT 1 / 0"))
    with pytest.raises(psycopg.errors.DivisionByZero):
        failing.result()
    with pytest.raises(psycopg.errors.SyntaxError):
        (launch(session, text("SELEC 1"))).result()
    with pytest.raises(psycopg.errors.StringDataRightTruncation, match="label too long"):
        launch(session, text("SELECT 1"), label="x" * 65)
    session.commit()
    assert session.scalar(select(Customer.name).where(Customer.id == 9)) == "Zoe"


def test_once(session: MadeSession) -> None:
    job = launch(session, select(1))
    assert (job.result()).scalar_one() == 1
    with pytest.raises(InvalidRequestError, match="read once"):
        job.result()


def test_what_is_refused(session: MadeSession) -> None:
    with pytest.raises(InvalidRequestError, match="one set of parameters"):
        launch(session, insert(Customer), [{"name": "x"}, {"name": "y"}])  # type: ignore[call-overload]
    not_a_session: Any = "postgresql://"
    with pytest.raises(TypeError, match="not str"):
        launch(not_a_session, select(1))


def test_cancel(session: MadeSession) -> None:
    job = launch(session, select(func.pg_sleep(3600)))
    job.job.cancel()
    with pytest.raises(psycopg.errors.QueryCanceled):
        job.result()
    assert "canceled" in repr(job)
