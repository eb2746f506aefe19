"""The types of single fields: how each is written in YAML, what is refused and how that is said.

Every refusal is a pydantic error whose message goes to people as it is; none repeats a value that may be a
credential.
"""

from __future__ import annotations

import functools
import posixpath
import re
import zoneinfo
from collections.abc import Iterable
from typing import Annotated, Any, Final, LiteralString
from urllib import parse

import pydantic
import pydantic_core

from undrift.lib import durations

_NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
_DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"
_VARIABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
_TIME_PATTERN: Final = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
_SECRET_QUERY: Final = re.compile(r"(token|password|passwd|secret|signature|sig|key)$", re.IGNORECASE)
_SCHEMES: Final = ("https", "http", "ssh", "file", "oci")


def refuse(kind: LiteralString, said: str, hint: str = "") -> pydantic_core.PydanticCustomError:
    """An error of one field: its type, what is said of it and the next step."""
    return pydantic_core.PydanticCustomError(kind, "{said}", {"said": said, "hint": hint})


def unknown_word(value: str, what: str, words: Iterable[str]) -> pydantic_core.PydanticCustomError:
    """An error for a word that is none of the known ones; who explains it finds the nearest."""
    said = f"{value!r} is not {what}"
    return pydantic_core.PydanticCustomError(
        "unknown_word", "{said}", {"said": said, "got": value, "words": sorted(words)}
    )


def _name(value: str) -> str:
    if re.fullmatch(_NAME_PATTERN, value):
        return value
    raise refuse(
        "name",
        f"{value!r} is not a name",
        "a name has 1 to 63 lower-case letters, digits, '-' and '.', and begins and ends with a letter or digit",
    )


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refuse("duration", "should be a duration", "write it as 30s, 5m, 2h or 1h30m")
    try:
        if not isinstance(value, str):
            raise refuse("duration", f"{value} has no unit", f"write {value}s, {value}m or {value}h")
        seconds = durations.parse(value)
    except ValueError as error:
        if isinstance(error, pydantic_core.PydanticCustomError):
            raise
        raise refuse("duration", f"{value!r} is not a duration", "write it as 30s, 5m, 2h or 1h30m") from None
    return float(seconds)


def _positive(value: float) -> float:
    if value > 0:
        return value
    raise refuse("duration", "should be longer than nothing", "write it as 30s, 5m, 2h or 1h30m")


def _path(value: str) -> str:
    """A path in a source, normalised; "." is its root."""
    if "\0" in value or "\\" in value or value.startswith(("/", "~")):
        raise refuse(
            "path", f"{value!r} is not a path within the source", "write it relative to its root, with /"
        )
    clean = posixpath.normpath(value) if value else "."
    if clean == ".." or clean.startswith("../"):
        raise refuse(
            "path", f"{value!r} leads out of the source", "write it relative to the root of the source"
        )
    return clean


def _url(value: str) -> str:
    """A URL (or scp-like `git@host:path`) that holds no credential."""
    if re.match(r"^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:(?!//)", value) or value.startswith("/"):
        return value
    try:
        parts = parse.urlsplit(value)
        named = parts.hostname
    except ValueError:
        raise refuse("url", "is not a URL", "write it as https://host/path, ssh://git@host/path …") from None
    if parts.scheme not in _SCHEMES or not (named or parts.scheme == "file"):
        raise refuse("url", "is not a URL", f"it begins with one of {', '.join(f'{s}://' for s in _SCHEMES)}")
    if parts.password is not None or (parts.username and parts.scheme != "ssh"):
        raise refuse(
            "clear_credential",
            "holds a credential in clear",
            "take user and password out of the URL (and renew them: Git remembers), say where they are found "
            "with spec.authentication",
        )
    if any(_SECRET_QUERY.search(key) for key, _ in parse.parse_qsl(parts.query)):
        raise refuse(
            "clear_credential",
            "holds a credential in clear",
            "take it out of the query (and renew it: Git remembers), use spec.authentication",
        )
    return value


def _zone(value: str) -> str:
    if value in _zones():
        return value
    raise unknown_word(value, "a time zone", _zones())


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _minute(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(_TIME_PATTERN, value):
        hours, _, minutes = value.partition(":")
        return int(hours) * 60 + int(minutes)
    raise refuse("time", "should be a time of day", 'write it as "22:00" (with quotes, 00:00 to 24:00)')


def _variable(value: str) -> str:
    if re.fullmatch(_VARIABLE_PATTERN, value):
        return value
    raise refuse(
        "variable",
        "is not the name of an environment variable",
        "name the variable that holds the credential, never the credential itself",
    )


def _file(value: str) -> str:
    if value and "\0" not in value and "\n" not in value:
        return value
    raise refuse(
        "file",
        "is not the path of a file",
        "name the file (of the agent's host) that holds the credential, never the credential itself",
    )


def _glob(value: str) -> str:
    if value:
        return value
    raise refuse("glob", "is empty", "write a name or a pattern with *, ? and [abc]")


Text = Annotated[str, pydantic.Field(strict=True)]
Word = Annotated[str, pydantic.Field(strict=True, min_length=1)]
Glob = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_glob)]
Flag = Annotated[bool, pydantic.Field(strict=True)]
Name = Annotated[
    str,
    pydantic.Field(strict=True),
    pydantic.AfterValidator(_name),
    pydantic.WithJsonSchema({"type": "string", "pattern": _NAME_PATTERN, "maxLength": 63}),
]
DurationOrNone = Annotated[
    float,
    pydantic.BeforeValidator(_duration),
    pydantic.WithJsonSchema(
        {"type": "string", "pattern": _DURATION_PATTERN, "examples": ["30s", "5m", "2h"]}
    ),
]
"""Seconds, written as `30s`; nothing (`0s`) is allowed."""
Duration = Annotated[
    float,
    pydantic.BeforeValidator(_duration),
    pydantic.AfterValidator(_positive),
    pydantic.WithJsonSchema(
        {"type": "string", "pattern": _DURATION_PATTERN, "examples": ["30s", "5m", "2h"]}
    ),
]
"""Seconds, written as `30s`, `5m`, `2h`; longer than nothing."""
Path = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_path)]
Url = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_url)]
Zone = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_zone)]
Minute = Annotated[
    int,
    pydantic.BeforeValidator(_minute),
    pydantic.WithJsonSchema({"type": "string", "pattern": _TIME_PATTERN, "examples": ["22:00"]}),
]
"""Minutes after midnight, written as `"22:00"`."""
Variable = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_variable)]
File = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_file)]
