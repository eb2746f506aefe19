"""Edits of YAML files that somebody wrote: one scalar is set or dropped, every other byte stays as it is.

Each edit is checked by reading the result again: the data may differ at the edited place only.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from undrift.lib import yaml as reading

Chooser = Callable[[Mapping[str, Any]], bool]
_BOM = "\ufeff"


class SpliceError(ValueError):
    """The file cannot be edited without touching more than was asked for; it is left to a person."""


def put(content: bytes, chosen: Chooser, path: Sequence[str], value: str) -> bytes:
    """The file with `path` set in the document that `chosen` picks; a missing last key is added.

    `value` is a plain scalar as it is to stand in the file: `true`, `12`, `web`.

    Raises `SpliceError`, and `lib.yaml.YamlError` for a file that cannot be read.
    """
    return _edited(content, chosen, path, value)


def drop(content: bytes, chosen: Chooser, path: Sequence[str]) -> bytes:
    """The file without `path`, where it stands on a line of its own; elsewhere it is set to false.

    Raises as `put`.
    """
    return _edited(content, chosen, path, None)


def _edited(content: bytes, chosen: Chooser, path: Sequence[str], value: str | None) -> bytes:
    before = reading.documents(content)
    indexes = [index for index, one in enumerate(before) if isinstance(one.data, dict) and chosen(one.data)]
    if len(indexes) != 1:
        msg = "there is no such document" if not indexes else "there are several such documents"
        raise SpliceError(msg)
    if "sops" in before[indexes[0]].data:
        msg = "it is encrypted, and its checksum would no longer hold: edit it with sops"
        raise SpliceError(msg)
    text = content.decode()
    bom = _BOM if text.startswith(_BOM) else ""
    text = text.removeprefix(_BOM)
    node = _nodes(text)[indexes[0]]
    after = (bom + _spliced(text, _mapping(node, path[:-1]), path[-1], value)).encode()
    _check(before, reading.documents(after), indexes[0], path)
    return after


def _nodes(text: str) -> list[yaml.Node]:
    """The documents that are not empty, in order, with marks that count characters."""
    found: list[yaml.Node | None] = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    return [
        node
        for node in found
        if node is not None and not (isinstance(node, yaml.ScalarNode) and _is_null(node))
    ]


def _is_null(node: yaml.ScalarNode) -> bool:
    return node.style is None and reading.scalar(node.value)[0] is None


def _mapping(node: yaml.Node, path: Sequence[str]) -> yaml.MappingNode:
    """The mapping at `path`, written where it stands (and not by an alias)."""
    for name in path:
        key, value = _item(node, name)
        if key is None or value is None or value.start_mark.index < key.end_mark.index:
            msg = f"{name} is not written there"
            raise SpliceError(msg)
        node = value
    if not isinstance(node, yaml.MappingNode):
        msg = f"{path[-1] if path else 'the document'} is not a mapping"
        raise SpliceError(msg)
    return node


def _item(node: yaml.Node, name: str) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == name:
                return key, value
    return None, None


def _spliced(text: str, mapping: yaml.MappingNode, name: str, value: str | None) -> str:
    key, old = _item(mapping, name)
    if key is None or old is None:
        if value is None:
            return text
        return _inserted(text, mapping, f"{name}: {value}")
    if not isinstance(old, yaml.ScalarNode) or old.start_mark.index < key.end_mark.index:
        msg = f"{name} is not a plain value"
        raise SpliceError(msg)
    line = None if value is not None else _line(text, mapping, key, old)
    if line is not None:
        return text[: line[0]] + text[line[1] :]
    start, end = old.start_mark.index, old.end_mark.index
    space = " " if start == end else ""
    return text[:start] + space + (value or "false") + text[end:]


def _inserted(text: str, mapping: yaml.MappingNode, item: str) -> str:
    start = mapping.start_mark.index
    if mapping.flow_style:
        rest = ", " if mapping.value else ""
        return f"{text[: start + 1]}{item}{rest}{text[start + 1 :]}"
    first = mapping.value[0][0].start_mark
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{text[: first.index]}{item}{newline}{' ' * first.column}{text[first.index :]}"


def _line(text: str, mapping: yaml.MappingNode, key: yaml.Node, value: yaml.Node) -> tuple[int, int] | None:
    """From where to where the line goes that holds this item and nothing else; None when there is no such line."""
    begin = text.rfind("\n", 0, key.start_mark.index) + 1
    end = text.find("\n", value.end_mark.index)
    end = len(text) if end < 0 else end + 1
    alone = not text[begin : key.start_mark.index].strip() and re.fullmatch(
        r"[ \t]*(#.*)?\r?\n?", text[value.end_mark.index : end]
    )
    if mapping.flow_style or len(mapping.value) == 1 or not alone:
        return None
    return begin, end


def _check(
    before: Sequence[reading.Document], after: Sequence[reading.Document], index: int, path: Sequence[str]
) -> None:
    """Nothing but the edited value may be different."""
    old, new = (
        [_without(one.data, path if at == index else ()) for at, one in enumerate(many)]
        for many in (before, after)
    )
    if old != new:
        msg = "the edit would change more than was asked for"
        raise SpliceError(msg)


def _without(data: Any, path: Sequence[str]) -> Any:
    if not path:
        return data
    found = part = copy.deepcopy(data)
    for name in path[:-1]:
        part = part[name]
    part.pop(path[-1], None)
    return found
