"""Options that several commands share: a command asks for what is made of them, once, by its type.

    DatabaseGiven = Annotated[Database, Given(database)]

    @command()
    def ps(database: DatabaseGiven) -> None: ...

The parameters of the function in `Given` are among the command's own for Typer.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from ..page import PlainCommand


@dataclass(frozen=True)
class Given:
    """Says what makes a parameter of a command, out of options."""

    make: Callable[..., Any]


def command(
    *examples: str, kind: type[PlainCommand] = PlainCommand
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function what Typer is to see.

    Args:
        examples: for its help; what stands after the program's name.
        kind: how its words are read.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        made = _with_options(function)
        made.command_class = kind  # type: ignore[attr-defined]
        made.examples = examples  # type: ignore[attr-defined]
        return made

    return decorate


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
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
            # Several may ask for the context.
            parameters += [option for option in own if option not in parameters]

    @functools.wraps(function)
    def wrapper(**values: Any) -> None:
        made = {}
        for name, (make, options) in makers.items():
            made[name] = make(**{option: values[option] for option in options})
        taken = {option for _, options in makers.values() for option in options}
        function(**made, **{name: value for name, value in values.items() if name not in taken})

    # Arguments are taken in this order, which is why keywords are: some have defaults and some have not.
    seen = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    wrapper.__signature__ = signature.replace(parameters=seen)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in seen} | {"return": None}
    return wrapper


def _given(annotation: Any) -> Given | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((item for item in get_args(annotation)[1:] if isinstance(item, Given)), None)
