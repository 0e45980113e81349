"""Options that are several numbers."""

from __future__ import annotations

from typing import Any

import click


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3 alone
    """A fixed number of numbers, separated by commas."""

    name = "numbers"

    def __init__(self, count: int) -> None:
        self.count = count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(float(v) for v in str(value).split(","))
        except ValueError:
            found = ()
        if len(found) != self.count:
            self.fail(f"{value!r} is not {self.count} numbers separated by commas", param, ctx)
        return found
