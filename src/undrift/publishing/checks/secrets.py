"""What is a secret, or looks like one. Nothing here ever repeats a value."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift.lib import mask
from undrift.model import publication

_SEALED: Final = "ENC["
_PARTS: Final = ("data", "stringData")
_NAMED: Final = re.compile(
    r"(?:^|[_.\-]|(?<=[a-z0-9])(?=[A-Z]))"
    r"(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|private[_-]?key|secret[_-]?key|access[_-]?key|credentials?)$",
    re.IGNORECASE,
)
_FORMS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}"
    r"|\bglpat-[A-Za-z0-9_-]{20,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bsk_live_[A-Za-z0-9]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
)
_IN_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]+:(?P<password>[^/\s@]+)@", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(
    r"\$[({]|\{\{|<[^>]*>|^(?:changeme|change-me|\*+|x+|none|null|true|false|\d+)$"
)
_RANDOM: Final = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_MOST_RANDOM: Final = 4.2
_LONGEST: Final = 100_000
_WHY_NAME: Final = "a key of that name, with its value in plain text"
_WHY_FORM: Final = "the value has the form of a key or token"
_WHY_URL: Final = "the URL holds a password"
_WHY_RANDOM: Final = "the value looks like random signs"


def is_plain(one: publication.ResourceFile) -> bool:
    """Whether it is a Secret that anybody can read who can read its file."""
    if not _is_secret(one.data) or one.encrypted or "sops" in one.data:
        return False
    return any(text and not text.startswith(_SEALED) for text in _values(one.data))


def of(data: Mapping[str, Any]) -> Iterator[str]:
    """Every value of a Secret, as it is written and decoded; nothing for other kinds."""
    if not _is_secret(data):
        return
    for text in _values(data):
        yield text
        try:
            yield base64.b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError):
            continue


def hidden(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A resource as rules may see it: of a Secret the names of its values only."""
    if not _is_secret(data):
        return data
    parts = {part: data[part] for part in _PARTS if isinstance(data.get(part), Mapping)}
    return {**data, **{part: dict.fromkeys(values, mask.MASK) for part, values in parts.items()}}


def suspected(one: publication.ResourceFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Values of a ConfigMap and of variables that look like secrets: where, and why that may be one."""
    if one.encrypted or "sops" in one.data or _is_secret(one.data):
        return
    if one.data.get("kind") == "ConfigMap":
        data = one.data.get("data")
        for key, value in data.items() if isinstance(data, Mapping) else ():
            yield from _judged(("data", key), str(key), value)
        return
    for path, variable in _variables(one.data, ()):
        yield from _judged((*path, "value"), str(variable.get("name", "")), variable.get("value"))


def _judged(
    path: tuple[str | int, ...], name: str, value: Any
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if not isinstance(value, str) or not value or value.startswith(_SEALED) or len(value) > _LONGEST:
        return
    if _FORMS.search(value):
        yield path, _WHY_FORM
    elif (found := _IN_URL.search(value)) and not _PLACEHOLDER.search(found["password"]):
        yield path, _WHY_URL
    elif _NAMED.search(name) and not _PLACEHOLDER.search(value) and not value.startswith("/"):
        yield path, _WHY_NAME
    elif _RANDOM.fullmatch(value) and _is_random(value):
        yield path, _WHY_RANDOM


def _is_random(text: str) -> bool:
    """By Shannon's entropy, and all of small letters, capitals and digits: no path, name or digest in hex is so."""
    mixed = all(re.search(kind, text) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    counts = Counter(text).values()
    entropy = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    return mixed and text.count("/") <= 1 and entropy >= _MOST_RANDOM


def _variables(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "env" and isinstance(item, list):
                yield from (
                    ((*path, key, index), one) for index, one in enumerate(item) if isinstance(one, Mapping)
                )
            else:
                yield from _variables(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _variables(item, (*path, index))


def _is_secret(data: Mapping[str, Any]) -> bool:
    return data.get("kind") == "Secret" and data.get("apiVersion") == "v1"


def _values(data: Mapping[str, Any]) -> Iterator[str]:
    for part in _PARTS:
        found = data.get(part)
        yield from (
            str(one) for one in (found.values() if isinstance(found, Mapping) else ()) if one is not None
        )
