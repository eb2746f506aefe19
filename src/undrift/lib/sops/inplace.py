"""Decrypting YAML where it stands: every encrypted scalar is replaced by its value, what SOPS added becomes empty
lines. Lines, comments and order stay as they are in Git.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

import yaml

from undrift.lib.sops import opening, sealed

_UNSAFE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)")
_INTEGERS: Final = (
    (re.compile(r"0[xX][0-9a-fA-F]+\Z"), 16),
    (re.compile(r"0[bB][01]+\Z"), 2),
    (re.compile(r"0[oO]?[0-7]+\Z"), 8),
    (re.compile(r"(0|[1-9][0-9]*)\Z"), 10),
)
_LARGEST: Final = 2**64 - 1

Edit = tuple[int, int, str]
"""From, to, and what comes there."""


def decrypt(text: str, opener: opening.Opener) -> bytes:
    """The plain content; the opener has seen every leaf. Raises `SopsError`."""
    edits: list[Edit] = []
    try:
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
            if isinstance(node, yaml.MappingNode):
                edits += _document(node, text, opener)
            elif node is not None:
                raise sealed.Unsupported("a document of it is no mapping")
    except (yaml.YAMLError, RecursionError):
        raise sealed.SopsError("it is no YAML any more") from None
    for start, end, put in sorted(edits, reverse=True):
        text = text[:start] + put + text[end:]
    return text.encode()


def _document(node: yaml.MappingNode, text: str, opener: opening.Opener) -> Iterator[Edit]:
    if node.flow_style:
        raise sealed.Unsupported("it is written in flow style")
    seen: set[int] = set()
    for number, (key, value) in enumerate(node.value):
        if key.value != "sops":
            yield from _leaves(value, (_step(key),), opener, seen)
            continue
        start = key.start_mark.index
        after = node.value[number + 1 :]
        end = after[0][0].start_mark.index if after else node.end_mark.index
        yield start, end, "\n" * text.count("\n", start, end)


def _leaves(node: yaml.Node, path: tuple[str, ...], opener: opening.Opener, seen: set[int]) -> Iterator[Edit]:
    if id(node) in seen:
        raise sealed.Unsupported("it has aliases")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, (*path, _step(key)), opener, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _leaves(value, path, opener, seen)
    elif isinstance(node, yaml.ScalarNode):
        plain = _as_go(node)
        opened = None if plain is None else opener.open(path, node.value, plain)
        if opened is not None:
            yield node.start_mark.index, node.end_mark.index, _scalar(opened, path)


def _step(key: yaml.Node) -> str:
    if isinstance(key, yaml.ScalarNode) and not (key.value == "<<" and key.style is None):
        return str(key.value)
    raise sealed.Unsupported("it has keys that are no text")


def _scalar(opened: tuple[bytes, str], path: tuple[str, ...]) -> str:
    """A value as a scalar on one line that every reader of YAML takes for the same."""
    text = opening.read_text(opened[0], path)
    match opened[1]:
        case "bool":
            return text.lower()
        case "int" | "float":
            return text
        case _:
            quoted = json.dumps(text, ensure_ascii=False)
            return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _as_go(node: yaml.ScalarNode) -> bytes | None:
    """The bytes that the MAC takes of a scalar, as yaml.v3 and Go's SOPS read it; None for null."""
    text = str(node.value)
    if node.style is not None:
        return text.encode()
    if node.end_mark.index - node.start_mark.index > len(text) and node.start_mark.buffer is not None:
        raise sealed.Unsupported("it has tags")
    if text in _NULL:
        return None
    if text in _TRUE:
        return b"True"
    if text in _FALSE:
        return b"False"
    return _number(text).encode() if text[0] in "0123456789+-." else text.encode()


def _number(text: str) -> str:
    if _DATE.match(text):
        return f"{text}T00:00:00Z"
    if _INSTANT.match(text):
        return text
    if _TIME.match(text):
        raise sealed.Unsupported("it has times that are not quoted")
    bare = text.replace("_", "")
    sign = "-" if bare.startswith("-") else ""
    digits = bare.lstrip("+-")
    for pattern, base in _INTEGERS:
        if len(bare) - len(digits) <= 1 and pattern.match(digits):
            value = int(digits.lower().removeprefix("0o") if base == 8 else digits, base)  # noqa: PLR2004 - octal
            return f"{sign}{value}" if value <= _LARGEST else opening.go_float(float(value))
    if _NUMBER.match(bare):
        return opening.go_float(float(bare))
    if digits.lower() in {".inf", ".nan"}:
        raise sealed.Unsupported("it has numbers without end")
    return text
