"""Statements of SQLAlchemy as jobs: what comes back is what its own execute() returns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import Executable, bindparam, func, insert, select, text, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import joinedload, selectinload

from pg_background.ext.sqlalchemy import launch

from ..support.fix_client import Place
from ..support.fix_db import Connection
from ..support.jobs import closed_gate
from ..support.shop_models import Base, Customer, Order, Status, some
from ..support.sqlalchemy_sessions import AsyncMadeSession


@pytest_asyncio.fixture
async def engine(place: Place) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(place.url("postgresql+psycopg"))
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)  # sync: Base.metadata.create_all(connection)
    async with AsyncMadeSession(made) as session:
        session.add_all(some())
        await session.commit()
    yield made
    await made.dispose()


@pytest_asyncio.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncMadeSession]:
    async with AsyncMadeSession(engine) as made:
        yield made


async def test_objects(session: AsyncMadeSession) -> None:
    statement = select(Order).where(Order.total > 11, Order.status == Status.PAID).order_by(Order.id)
    job = await launch(session, statement, label="paid")
    orders = (await job.result(timeout=60)).scalars().all()
    assert [(order.id, order.total, order.day, order.code, order.details) for order in orders] == [
        (11, Decimal("11.50"), date(2026, 1, 2), "a11", {"gift": True}),
        (21, Decimal("21.50"), date(2026, 2, 2), "a21", {"gift": True}),
    ]
    assert job.job.label == "paid"
    # They are those of the session.
    assert await session.get(Order, 11) is orders[0]


async def test_rows(session: AsyncMadeSession) -> None:
    statement = (
        select(Customer.name, func.sum(Order.total).label("total"), func.count())
        .join(Customer.orders)
        .where(Order.id.in_([10, 11, 20]), Customer.name.like("%b 100%"))
        .group_by(Customer.name)
    )
    row = (await (await launch(session, statement)).result()).one()
    assert row == ("Bob 100%", Decimal("20.50"), 1)
    assert row.total == Decimal("20.50")


async def test_loader_options(session: AsyncMadeSession) -> None:
    for option in (selectinload(Customer.orders), joinedload(Customer.orders)):
        statement = select(Customer).options(option).order_by(Customer.id)
        customers = (await (await launch(session, statement)).result()).unique().scalars().all()
        assert [[order.id for order in customer.orders] for customer in customers] == [[10, 11], [20, 21]]
        session.expunge_all()


async def test_parameters(session: AsyncMadeSession) -> None:
    statement = select(Order.id).where(Order.code == bindparam("code"))
    assert (await (await launch(session, statement, {"code": "a20"})).result()).scalar_one() == 20
    plain = text("SELECT '100%', 5 % :n")
    assert (await (await launch(session, plain, {"n": 3})).result()).one() == ("100%", 2)


async def test_rows_of_the_same_name(session: AsyncMadeSession) -> None:
    statement = select(Customer.id, Order.id).join(Customer.orders).where(Order.id == 21)
    assert (await (await launch(session, statement)).result()).one() == (2, 21)


async def test_writing(session: AsyncMadeSession) -> None:
    job = await launch(session, insert(Customer).values(id=3, name="Cem").returning(Customer))
    assert (await job.result()).scalar_one().name == "Cem"
    await session.rollback()
    assert await session.scalar(select(func.count()).select_from(Customer)) == 3
    several = insert(Customer).values([{"id": 4, "name": "Dee"}, {"id": 5, "name": "Eve"}])
    await (await launch(session, several)).result()
    assert await session.scalar(select(func.count()).select_from(Customer)) == 5


async def test_update_of_objects_that_the_session_has(session: AsyncMadeSession) -> None:
    ann = await session.get(Customer, 1)
    assert ann is not None
    await session.rollback()
    await session.refresh(ann)
    job = await launch(session, update(Customer).where(Customer.id == 1).values(name="Anna"))
    assert not (await job.result()).returns_rows  # type: ignore[attr-defined]
    await session.rollback()
    await session.refresh(ann)
    assert ann.name == "Anna"


async def test_how_many_rows_were_written(session: AsyncMadeSession) -> None:
    statements: list[Executable] = [
        text("UPDATE orders SET code = 'x' WHERE id IN (10, 11)"),
        text("INSERT INTO customers (id, name) VALUES (91, 'a'), (92, 'b')"),
        text("DELETE FROM customers WHERE id IN (91, 92)"),
        update(Order).values(code="y").where(Order.id == 0),
    ]
    counts = []
    for statement in statements:
        result: Any = await (await launch(session, statement)).result()
        counts.append(result.rowcount)
    assert counts == [2, 2, 2, 0]


async def test_core(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        table = Order.__table__
        job = await launch(connection, select(table.c.status).order_by(table.c.id).limit(2))
        assert (await job.result()).scalars().all() == [Status.OPEN, Status.PAID]
        series = func.generate_series(1, 3000).table_valued("n").render_derived()
        assert len((await (await launch(connection, select(series.c.n))).result()).all()) == 3000


async def test_settings_of_the_session(session: AsyncMadeSession) -> None:
    await session.execute(text("SET LOCAL work_mem = '7MB'"))
    assert (await (await launch(session, text("SHOW work_mem"))).result()).scalar_one() == "7MB"


async def test_the_session_goes_on_meanwhile(session: AsyncMadeSession, side: Connection) -> None:
    with closed_gate(side) as gate:
        job = await launch(session, text(gate.sql))
        session.add(Customer(id=9, name="Zoe"))
        # It is not flushed, as the job would not see it.
        assert session.new
        with pytest.raises(TimeoutError, match="goes on"):
            await job.result(timeout=0)
        await session.commit()
    assert (await job.result()).one() == ("",)


async def test_errors_do_not_spoil_the_transaction(session: AsyncMadeSession) -> None:
    session.add(Customer(id=9, name="Zoe"))
    await session.flush()
    failing = await launch(session, text("SELECT 1 / 0"))
    with pytest.raises(psycopg.errors.DivisionByZero):
        await failing.result()
    with pytest.raises(psycopg.errors.SyntaxError):
        await (await launch(session, text("SELEC 1"))).result()
    with pytest.raises(psycopg.errors.StringDataRightTruncation, match="label too long"):
        await launch(session, text("SELECT 1"), label="x" * 65)
    await session.commit()
    assert await session.scalar(select(Customer.name).where(Customer.id == 9)) == "Zoe"


async def test_once(session: AsyncMadeSession) -> None:
    job = await launch(session, select(1))
    assert (await job.result()).scalar_one() == 1
    with pytest.raises(InvalidRequestError, match="read once"):
        await job.result()


async def test_what_is_refused(session: AsyncMadeSession) -> None:
    with pytest.raises(InvalidRequestError, match="one set of parameters"):
        await launch(session, insert(Customer), [{"name": "x"}, {"name": "y"}])  # type: ignore[call-overload]
    not_a_session: Any = "postgresql://"
    with pytest.raises(TypeError, match="not str"):
        await launch(not_a_session, select(1))


async def test_cancel(session: AsyncMadeSession) -> None:
    job = await launch(session, select(func.pg_sleep(3600)))
    await job.job.cancel()
    with pytest.raises(psycopg.errors.QueryCanceled):
        await job.result()
    assert "canceled" in repr(job)
