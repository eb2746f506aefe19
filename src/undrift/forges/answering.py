"""What is in the answer of a forge: its content, its message, how long it asks us to wait, its next page."""

from __future__ import annotations

import dataclasses
import email.utils
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from undrift.lib import mask

UNREADABLE = object()
"""In place of content that is not JSON."""

_LONGEST = 500
_MINUTE = 60.0
"""What GitHub asks of those who meet a secondary limit that names no time."""
_LIMITED = re.compile(r"secondary rate limit|abuse detection|rate limit exceeded", re.IGNORECASE)
_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[^;,="]+(?:=(?:"[^"]*"|[^;,"]*))?)*)')
_WORDS = ("message", "error_description", "error", "errors", "detail", "exceptionName")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a forge said. `headers` know no case; `data` is its JSON, None when it is empty."""

    status: int
    headers: Mapping[str, str] = dataclasses.field(repr=False)
    data: Any = dataclasses.field(default=None, repr=False)


def read(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """An answer from its parts."""
    if not body.strip():
        return Answer(status, headers)
    try:
        return Answer(status, headers, orjson.loads(body))
    except orjson.JSONDecodeError:
        # A page to sign in on, as Azure DevOps shows it for a bad token.
        return Answer(401 if status == 203 else status, headers, UNREADABLE)  # noqa: PLR2004 - Unauthorized


def waiting(answer: Answer) -> float | None:
    """Seconds that the forge asks us to wait before we ask again; None when it does not.

    429, or 403 and 503 that say so: GitHub tells its limits by 403 (docs.github.com, "Rate limits for the REST API").
    """
    said = _said(answer)
    if answer.status == 429:  # noqa: PLR2004 - Too Many Requests
        return _MINUTE if said is None else said
    if answer.status == 503:  # noqa: PLR2004 - Service Unavailable
        return said if "Retry-After" in answer.headers else None
    if answer.status != 403:  # noqa: PLR2004 - Forbidden
        return None
    spent = answer.headers.get("X-RateLimit-Remaining") == "0"
    if "Retry-After" in answer.headers or spent or _LIMITED.search(message(answer)):
        return _MINUTE if said is None else said
    return None


def _said(answer: Answer) -> float | None:
    """The wait as the headers say it: seconds or a date, else the time when the limit is lifted."""
    now = _seconds(answer.headers.get("Date", "")) or time.time()
    after = answer.headers.get("Retry-After", "").strip()
    if after.isdigit():
        return float(after)
    if after and (date := _seconds(after)) is not None:
        return max(0.0, date - now)
    for name in ("X-RateLimit-Reset", "RateLimit-Reset"):
        text = answer.headers.get(name, "").strip()
        if text.isdigit():
            return max(0.0, float(text) - now)
    return None


def _seconds(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def message(answer: Answer) -> str:
    """The forge's own words, in one line."""
    said = [*dict.fromkeys(" ".join(text.split()) for text in _texts(answer.data) if text.strip())]
    return "; ".join(said)[:_LONGEST]


def _texts(data: Any) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)
    elif isinstance(data, Mapping):
        if data.keys().isdisjoint(_WORDS):
            # GitLab: messages by field. GitHub: resource, field and code.
            yield ", ".join(f"{name} {' '.join(_texts(value))}" for name, value in data.items())
        for word in _WORDS:
            yield from _texts(data.get(word))


def next_link(header: str) -> str:
    """The address that a Link header (RFC 8288) calls `next`; "" when there is none."""
    for found in _LINK.finditer(header):
        if re.search(r';\s*rel="?next"?', found[2]):
            return found[1]
    return ""


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """The text without the secrets, and without what stands before the @ of a URL."""
    return mask.Mask(secrets)(text)
