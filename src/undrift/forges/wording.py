"""Text as forges keep it: cut to their limits, compared as they store it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from undrift.model import forge

_MORE = "…"
_TEAM = "team:"


def cut(text: str, longest: int) -> str:
    """The text in one line of at most that many characters, cut between words where it can be."""
    line = " ".join(text.split())
    if len(line) <= longest:
        return line
    # With the character after it, so that a word which ends there is whole.
    head = line[: longest - len(_MORE) + 1]
    whole = head.rsplit(" ", 1)[0] if " " in head[longest // 2 :] else head[:-1]
    return whole.rstrip(" ,;:") + _MORE


def same(one: str | None, other: str | None) -> bool:
    """Whether a forge would keep both as the same text: ends of lines and blanks around it do not count."""
    return _kept(one) == _kept(other)


def says(known: forge.Status, wanted: forge.Status) -> bool:
    """Whether a status that is there says what another one would say."""
    pairs = (
        (known.context, wanted.context),
        (known.description, wanted.description),
        (known.url, wanted.url),
    )
    return known.state is wanted.state and all(same(one, other) for one, other in pairs)


def people(reviewers: Sequence[str]) -> tuple[list[str], list[str]]:
    """The users among reviewers, and the teams (`team:name`) without that word."""
    users = [one for one in reviewers if not one.startswith(_TEAM)]
    return users, [one.removeprefix(_TEAM) for one in reviewers if one.startswith(_TEAM)]


def _kept(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").strip()


def seconds(text: str | None) -> float:
    """Seconds since the epoch of a time as JSON has it (RFC 3339); 0 for none."""
    if not text:
        return 0.0
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
