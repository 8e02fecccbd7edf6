"""Tables for tests of SQLAlchemy, with types that need its help on the way in and out."""

from __future__ import annotations

import enum
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, Numeric, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class Reversed(TypeDecorator[str]):
    """Text that is kept backwards."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value and value[::-1]

    process_result_value = process_bind_param


class Status(enum.Enum):
    OPEN = "o"
    PAID = "p"


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list[Order]] = relationship(back_populates="customer", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    status: Mapped[Status]
    day: Mapped[date]
    code: Mapped[str] = mapped_column(Reversed())
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    customer: Mapped[Customer] = relationship(back_populates="orders")


def some() -> list[Base]:
    """Return two customers with two orders each."""
    return [
        Customer(
            id=n,
            name=name,
            orders=[
                Order(
                    id=10 * n + m,
                    total=Decimal(f"{10 * n + m}.50"),
                    status=(Status.OPEN, Status.PAID)[m],
                    day=date(2026, n, 1 + m),
                    code=f"a{n}{m}",
                    details={"gift": bool(m)},
                )
                for m in range(2)
            ],
        )
        for n, name in ((1, "Ann"), (2, "Bob 100%"))
    ]
