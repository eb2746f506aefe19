"""What one check found."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """`level` is `ok`, `warn` or `fail`; `todo` says what to do about it, "" where nothing is to be done."""

    level: str
    what: str
    found: str
    todo: str = ""
