"""The nearest valid word: "did you mean …?"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CUTOFF = 0.6


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word that `word` was most likely meant to be, or None when none is near."""
    known = {one.casefold(): one for one in valid}
    found = difflib.get_close_matches(word.casefold(), known, n=1, cutoff=_CUTOFF)
    return known[found[0]] if found else None


def suggestion(word: str, valid: Iterable[str]) -> str:
    """`did you mean X?`, or the valid words when none is near; "" when there are none."""
    choices = sorted(valid)
    near = nearest(word, choices)
    if near is not None:
        return f"did you mean {near}?"
    return f"one of: {', '.join(choices)}" if choices else ""
