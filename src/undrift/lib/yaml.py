"""YAML as kubectl reads it, with the place of everything that was read.

The grammar is libyaml's (PyYAML's C parser); the meaning of plain scalars is that of sigs.k8s.io/yaml, as
observed on kubectl: `yes`, `no`, `on`, `off`, `y` and `n` are booleans, `0777` and `0o777` are octal, `1e3`
is a number, dates and `12:30:45` are text. Two things are stricter on purpose: a key that stands twice is an
error, and aliases may not expand to more than a million values.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from typing import Any

import yaml
from yaml._yaml import CParser

Path = tuple[str | int, ...]
Place = tuple[int, int]

_DEEPEST = 100
_MOST_VALUES = 1_000_000
_CORE = "tag:yaml.org,2002:"
_UNTAGGED = "?"
_RESOLVED = frozenset(f"{_CORE}{name}" for name in ("bool", "int", "float", "null"))


_CONFLICT = b"<<<<<<< "
_BREAKS = re.compile("[\x85\u2028\u2029]")


class YamlError(ValueError):
    """A file that cannot be read: what, and where (line and column from 1, 0 = unknown)."""

    def __init__(self, file: str, line: int, column: int, problem: str) -> None:
        place = ":".join(str(part) for part in (file, line, column) if part)
        super().__init__(f"{place}: {problem}" if place else problem)
        self.file = file
        self.line = line
        self.column = column
        self.problem = problem


@dataclasses.dataclass(frozen=True, slots=True)
class Trap:
    """A plain scalar that does not mean what it looks like: `on` is a boolean, `0123` is octal.

    `key` is the key that it stands under, itself where it is one; "" at the top.
    """

    line: int
    column: int
    text: str
    meaning: Any
    key: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One document: plain data, where its parts stand (path → line and column, from 1), and its traps."""

    data: Any
    positions: Mapping[Path, Place] = dataclasses.field(repr=False)
    line: int = 1
    traps: tuple[Trap, ...] = ()


def documents(content: bytes | str, name: str = "") -> list[Document]:
    """All documents of a file; empty ones are left out. Raises `YamlError`."""
    text = _text(content, name)
    found: list[Document] = []
    try:
        for node in yaml.compose_all(text, Loader=_Composer):  # type: ignore[arg-type]  # a loader by parts
            if node is not None:
                found.append(_Reader(name).document(node))  # noqa: PERF401 - read as it is composed
    except yaml.MarkedYAMLError as error:
        raise _explained(error, name) from error
    except yaml.YAMLError as error:
        raise YamlError(name, 0, 0, str(error)) from error
    except RecursionError as error:
        raise YamlError(name, 0, 0, "nested too deeply") from error
    return [one for one in found if one.data is not None]


def nearest(positions: Mapping[Path, Place], path: Path) -> Place:
    """The place of `path`, or of its nearest parent that has one; (0, 0) when none has."""
    for length in range(len(path), -1, -1):
        place = positions.get(path[:length])
        if place is not None:
            return place
    return (0, 0)


def dump(data: Any) -> str:
    """Plain data as YAML in block style, keys in their order; what is read back is equal."""
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000
    )


class _Composer(CParser, yaml.resolver.BaseResolver):
    """Composes nodes only: what a plain scalar means is decided later, by `scalar`."""

    def __init__(self, stream: str) -> None:
        CParser.__init__(self, stream)
        yaml.resolver.BaseResolver.__init__(self)

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a node that bears none."""
        return _UNTAGGED


class _Dumper(yaml.SafeDumper):
    """Quotes every text that a reader of ours would take for something else."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Quote what is not plainly text."""
        # Line breaks of Unicode get lost in every style but this.
        style = '"' if _BREAKS.search(text) else "|" if "\n" in text else None
        if style is None and not isinstance(scalar(text)[0], str):
            style = "'"
        return self.represent_scalar(f"{_CORE}str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def _text(content: bytes | str, name: str) -> str:
    if isinstance(content, str):
        return content
    if content.startswith(_CONFLICT):
        raise YamlError(name, 1, 1, "a conflict of Git was committed unresolved")
    if b"\0" in content:
        raise YamlError(name, 0, 0, "this is a binary file, not YAML")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise YamlError(name, line, 0, "not UTF-8: is this a binary file?") from error


def _explained(error: yaml.MarkedYAMLError, name: str) -> YamlError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
    problem = " ".join(part for part in (error.problem, error.context) if part)
    if "cannot start any token" in problem:
        problem += " (a tab? YAML is indented with spaces)"
    return YamlError(name, line, column, f"not YAML: {problem or error}")


class _Reader:
    """Turns one node tree into data, noting places; lives for one document."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.positions: dict[Path, Place] = {}
        self.traps: list[Trap] = []
        self.count = 0

    def document(self, node: yaml.Node) -> Document:
        """Read it whole."""
        data = self._read(node, (), 0)
        return Document(data, self.positions, node.start_mark.line + 1, tuple(self.traps))

    def _read(self, node: yaml.Node, path: Path, depth: int) -> Any:
        self.count += 1
        if depth > _DEEPEST:
            raise self._error(node, "nested too deeply (or an alias that contains itself)")
        if self.count > _MOST_VALUES:
            raise self._error(node, "excessive aliasing: the document expands to too many values")
        mark = node.start_mark
        self.positions.setdefault(path, (mark.line + 1, mark.column + 1))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        raise self._error(node, "not a value")

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        given: dict[str, Place] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and not key.style and key.value == "<<":
                found.update(self._merged(value, path, depth))
                continue
            name = self._key(key, path)
            place = (key.start_mark.line + 1, key.start_mark.column + 1)
            if name in given:
                raise self._error(key, f"the key {name} stands twice, first in line {given[name][0]}")
            given[name] = place
            self.positions[(*path, name)] = place
            found[name] = self._read(value, (*path, name), depth + 1)
        return found

    def _merged(self, value: yaml.Node, path: Path, depth: int) -> dict[str, Any]:
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        merged: dict[str, Any] = {}
        for one in reversed(sources):
            if not isinstance(one, yaml.MappingNode):
                raise self._error(one, "only mappings can be merged with <<")
            merged.update(self._mapping(one, path, depth + 1))
        return merged

    def _key(self, node: yaml.Node, path: Path) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key has to be plain text")
        value = self._scalar(node, (*path, str(node.value)))
        if value is None:
            raise self._error(node, "a key cannot be null")
        if isinstance(value, bool):
            return "true" if value else "false"
        # The same few hundred names stand in every document of a thousand applications: each is kept once.
        return sys.intern(value if isinstance(value, str) else str(value))

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = str(node.value)
        tag = node.tag
        if tag == f"{_CORE}binary":
            try:
                return _binary(text)
            except ValueError:
                raise self._error(node, "!!binary needs base64") from None
        if node.style or not (tag == _UNTAGGED or tag in _RESOLVED):
            return text
        return self._plain(node, text, path)

    def _plain(self, node: yaml.ScalarNode, text: str, path: Path) -> Any:
        value, trap = scalar(text)
        if trap:
            mark = node.start_mark
            key = next((step for step in reversed(path) if isinstance(step, str)), "")
            self.traps.append(Trap(mark.line + 1, mark.column + 1, text, value, key))
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - only NaN differs from itself
            raise self._error(node, f"{text} has no JSON form")
        return value

    def _error(self, node: yaml.Node, problem: str) -> YamlError:
        return YamlError(self.name, node.start_mark.line + 1, node.start_mark.column + 1, problem)


def _binary(text: str) -> str:
    import base64  # noqa: PLC0415 - rare

    return base64.b64decode(text).decode("utf-8", "surrogateescape")


_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_YES = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_NO = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_STARTS = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def scalar(text: str) -> tuple[Any, bool]:
    """What a plain scalar means, and whether that may surprise its author."""
    if text in _NULL:
        return None, False
    if text[0] in _STARTS:
        return _number(text)
    if text in _TRUE or text in _YES:
        return True, text in _YES
    if text in _FALSE or text in _NO:
        return False, text in _NO
    return text, False


def _number(text: str) -> tuple[Any, bool]:
    if _INTEGER.match(text):
        found = _integer(text)
        if found is not None:
            octal = text.lstrip("+-")[:2] not in ("0b", "0x", "0o") and len(text.lstrip("+-")) > 1
            return found, octal and text.lstrip("+-").startswith("0")
    if _FLOAT.match(text):
        try:
            value = float(text.replace("_", ""))
        except ValueError:
            return text, False
        if value in (float("inf"), float("-inf")):
            return text, False
        leading = text.lstrip("+-")
        return _whole(value), len(leading) > 1 and leading[0] == "0" and leading.isdigit()
    if _INFINITE.match(text):
        return float("-inf" if text.startswith("-") else "inf"), False
    if text in _NAN:
        return float("nan"), False
    return text, False


def _integer(text: str) -> int | float | None:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").replace("_", "")
    try:
        if digits.startswith(("0b", "0x", "0o")):
            value = int(digits, 0)
        elif digits.startswith("0") and len(digits) > 1:
            value = int(digits, 8)
        else:
            value = int(digits)
    except ValueError:
        return None
    value *= sign
    return value if _SMALLEST <= value <= _LARGEST else float(value)


def _whole(value: float) -> int | float:
    """JSON has one kind of number: 1e3 is 1000."""
    return int(value) if value.is_integer() and _SMALLEST <= value <= _LARGEST else value
