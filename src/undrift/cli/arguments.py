"""Kinds of values on the command line."""

from __future__ import annotations

from typing import Any

import click

from undrift.lib import durations


class Duration(click.ParamType[float]):
    """A span of time as in the configuration: `30s`, `5m`, `2h`, `1d12h`. The value is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        if isinstance(value, (int, float)):
            return float(value)
        try:
            seconds = durations.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds <= 0:
            self.fail(f"{value} is no time at all", param, ctx)
        return seconds


DURATION = Duration()
