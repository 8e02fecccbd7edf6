"""How many digits numerics need in types that have a fixed number of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import isnan
from typing import NamedTuple


class Digits(NamedTuple):
    """What a decimal type has: digits, and how many of them are behind the point."""

    precision: int
    scale: int


def digits_of(
    precision: int | None, scale: int | None, values: Sequence[Decimal], most: int
) -> Digits | None:
    """Return what a column needs, by its type or else by its values; None if that is more than `most`.

    Args:
        precision: and `scale`, of the column's type; None for a numeric without.
    """
    if precision is not None and scale is not None:
        # A scale may be below zero, for rounded thousands, and above the precision, for tiny numbers.
        typed = Digits(max(precision - min(scale, 0), scale), max(scale, 0))
        if typed.precision <= most:
            return typed
        needed = _needed(values)
        fits = needed.scale <= typed.scale and needed.precision - needed.scale <= most - typed.scale
        return Digits(most, typed.scale) if fits else None
    needed = _needed(values)
    return needed if needed.precision <= most else None


def as_float(value: Decimal) -> float | None:
    """Return a number as a float that is written with the same digits; None if there is none."""
    near = float(value)
    if isnan(near) or not value.is_finite():
        return near
    return near if Decimal(repr(near)) == value else None


def _needed(values: Sequence[Decimal]) -> Digits:
    parts = [value.as_tuple() for value in values]
    exponents = [int(part.exponent) for part in parts]
    scale = max((-exponent for exponent in exponents if exponent < 0), default=0)
    whole = max(
        (len(part.digits) + exponent for part, exponent in zip(parts, exponents, strict=True)), default=1
    )
    return Digits(max(whole, 1) + scale, scale)
