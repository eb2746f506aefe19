"""Regular expressions that somebody else wrote: what they match, and an end to it.

Python's own engine cannot be stopped, and a pattern such as `(a|aa)+$` takes it years. The engine of `regex` reads the same
patterns and looks at the clock while it searches.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

_SECONDS = 1.0


class TooSlow(Exception):
    """A pattern takes too long for what it is searched in."""

    def __init__(self, pattern: str) -> None:
        super().__init__(f"{pattern!r} takes longer than {_SECONDS:g} s")


class Invalid(ValueError):
    """A pattern is none; says why."""


@functools.lru_cache(maxsize=64)
def compiled(pattern: str) -> regex.Pattern[str]:
    """A pattern. Raises `Invalid`."""
    import regex  # noqa: PLC0415 - only for those who have patterns of their own

    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise Invalid(str(error)) from None


def searched(
    pattern: str, texts: Iterable[str], seconds: float = _SECONDS
) -> Iterator[tuple[str, regex.Match[str]]]:
    """Every match in every text, in their order; `seconds` are for all of them. Raises `Invalid`, `TooSlow`."""
    expression, until = compiled(pattern), time.monotonic() + seconds
    for text in texts:
        left = until - time.monotonic()
        if left <= 0:
            raise TooSlow(pattern)
        try:
            yield from ((text, match) for match in expression.finditer(text, timeout=left))
        except TimeoutError:
            raise TooSlow(pattern) from None
