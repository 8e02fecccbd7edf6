"""Options that several commands share: a command asks for what is made of them, once, by its type.

    DatabaseGiven = Annotated[Database, Given(database)]

    @command
    def ps(database: DatabaseGiven) -> None: ...

The parameters of the function in `Given` are among the command's own for Typer.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from .failures import told


@dataclass(frozen=True)
class Given:
    """Says what makes a parameter of a command, out of options."""

    make: Callable[..., Any]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return the function as Typer is to see it; what goes wrong in it ends as a message and an exit code."""
    signature = inspect.signature(function, eval_str=True)
    makers: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        given = _given(parameter.annotation)
        if given is None:
            parameters.append(parameter)
        else:
            own = list(inspect.signature(given.make, eval_str=True).parameters.values())
            makers[parameter.name] = given.make, [option.name for option in own]
            parameters += own

    @functools.wraps(function)
    def wrapper(**values: Any) -> None:
        with told():
            for name, (make, options) in makers.items():
                values[name] = make(**{option: values.pop(option) for option in options})
            function(**values)

    # Arguments are taken in this order, which is why keywords are: some have defaults and some have not.
    seen = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    wrapper.__signature__ = signature.replace(parameters=seen)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in seen} | {"return": None}
    return wrapper


def _given(annotation: Any) -> Given | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((item for item in get_args(annotation)[1:] if isinstance(item, Given)), None)
