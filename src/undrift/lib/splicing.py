"""Edits of YAML and JSON files that somebody wrote: values are set or dropped, every other byte stays as it is.

Each edit is checked by reading the result again: the data may differ at the edited places only.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from undrift.lib import marking, scalars
from undrift.lib import yaml as reading

Chooser = Callable[[Mapping[str, Any]], bool]
Path = Sequence[str | int]
_BOM = "\ufeff"


class SpliceError(ValueError):
    """The file cannot be edited without touching more than was asked for; it is left to a person."""


@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """Set what is at `path` in a document (of those that hold something, from 0); `create` adds what is missing."""

    document: int
    path: tuple[str | int, ...]
    value: Any
    create: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class _Splice:
    """Characters from `start` to `end` become `text`. Where it replaces a scalar, `node` is that, `value` its new one."""

    start: int
    end: int
    text: str
    node: marking.Node | None = None
    value: Any = None


def change(content: bytes, edits: Sequence[Edit], *, as_json: bool = False) -> bytes:
    """The file with all edits made at once; what is as it should be already is not touched.

    A quote, a comment, an anchor, the line ends and everything around stay; what an alias stands for elsewhere, too.
    Raises `SpliceError`, and `lib.yaml.YamlError` for a file that cannot be read.
    """
    before = reading.documents(content)
    wanted = [one for one in edits if not _is_so(before, one)]
    if not wanted:
        return content
    if any("sops" in before[one.document].data for one in wanted):
        msg = "it is encrypted, and its checksum would no longer hold: edit it with sops"
        raise SpliceError(msg)
    text = content.decode()
    bom = _BOM if text.startswith(_BOM) else ""
    text = text.removeprefix(_BOM)
    roots = marking.documents(text)
    writer = _Writer(text, as_json=as_json)
    splices = [writer.splice(roots[one.document], one) for one in wanted]
    done = {id(one.node) for one in splices}
    splices = [one for one in splices if not _follows(one, splices)]
    splices += writer.kept(roots, splices, done)
    after = (bom + _applied(text, splices)).encode()
    desired = [copy.deepcopy(one.data) for one in before]
    for one in wanted:
        put_in(desired[one.document], one.path, one.value)
    if [one.data for one in reading.documents(after)] != desired:
        msg = "the edit would change more than was asked for"
        raise SpliceError(msg)
    return after


def find(data: Any, path: Path) -> tuple[bool, Any]:
    """Whether there is something at a path, and what."""
    for step in path:
        if isinstance(data, list):
            if not isinstance(step, int) or not -len(data) <= step < len(data):
                return False, None
            data = data[step]
        elif isinstance(data, Mapping) and step in data:
            data = data[step]
        else:
            return False, None
    return True, data


def put_in(data: Any, path: Path, value: Any) -> None:
    """Set a value in plain data; mappings that are missing on the way are made."""
    part = data
    for step in path[:-1]:
        if isinstance(part, Mapping) and part.get(step) is None:
            cast("dict[str | int, Any]", part)[step] = {}
        part = part[step]
    part[path[-1]] = value


def _is_so(before: Sequence[reading.Document], edit: Edit) -> bool:
    there, old = find(before[edit.document].data, edit.path)
    return there and type(old) is type(edit.value) and old == edit.value


def _follows(one: _Splice, others: Sequence[_Splice]) -> bool:
    """Whether an alias gets the same value as what it stands for: then it may stay."""
    target = one.node.target if one.node is not None else None
    return target is not None and any(
        each.node is target and type(each.value) is type(one.value) and each.value == one.value
        for each in others
    )


def _applied(text: str, splices: Sequence[_Splice]) -> str:
    """All splices made, from the last to the first."""
    unique = sorted({(one.start, one.end, one.text) for one in splices}, reverse=True)
    begin = len(text) + 1
    for start, end, new in unique:
        if end > begin:
            msg = "two edits meet at one place"
            raise SpliceError(msg)
        text, begin = text[:start] + new + text[end:], start
    return text


class _Writer:
    """Makes splices for one text."""

    def __init__(self, text: str, *, as_json: bool) -> None:
        self._text = text
        self._json = as_json
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def splice(self, root: marking.Node, edit: Edit) -> _Splice:
        """The splice of one edit."""
        node, path = root, edit.path
        for number, step in enumerate(path):
            inside = node.real
            found = _step(inside, step)
            if found is not None:
                key, node = found
                if number == len(path) - 1:
                    return self._replaced(inside, key, node, edit.value)
            elif inside.kind == "mapping" and isinstance(step, str):
                return self._inserted(inside, step, _nested(path[number + 1 :], edit.value))
            elif inside.kind == "scalar" and not inside.value and isinstance(step, str) and number:
                above = node
                return _Splice(above.start, above.end, " " + self._flow(_nested(path[number:], edit.value)))
            else:
                break
        msg = f"{'.'.join(str(step) for step in path)} is not written there"
        raise SpliceError(msg)

    def kept(
        self, roots: Sequence[marking.Node], splices: Sequence[_Splice], done: set[int]
    ) -> Iterator[_Splice]:
        """Aliases of a scalar that is edited get what it was, unless they are edited (`done`), too."""
        edited = {id(one.node): one for one in splices if one.node is not None}
        for root in roots:
            for alias in marking.aliases(root):
                changed = edited.get(id(alias.target))
                if changed is None or changed.node is None or id(alias) in done:
                    continue
                old = self._text[changed.node.start : changed.node.end]
                if changed.node.style in {"|", ">"}:
                    old = scalars.written(changed.node.value, style='"')
                yield _Splice(alias.start, alias.end, old)

    def _replaced(
        self, parent: marking.Node, key: marking.Node | None, node: marking.Node, value: Any
    ) -> _Splice:
        if node.kind in {"scalar", "alias"} and not isinstance(value, Mapping | list):
            real = node.real
            style = real.style if real.kind == "scalar" else ""
            new = scalars.written(value, style='"' if style in {"|", ">"} else style, as_json=self._json)
            if (
                style in {"|", ">"}
                and node.kind == "scalar"
                and self._text[node.start : node.end].endswith("\n")
            ):
                new += self._newline
            if node.start == node.end:
                new = f" {new}"
            return _Splice(node.start, node.end, new, node, value)
        if key is None or parent.flow or node.flow:
            return _Splice(node.start, node.last, self._flow(value))
        return _Splice(
            key.start, max(node.last, key.end), scalars.block(key.value, value, parent.column, self._newline)
        )

    def _flow(self, value: Any) -> str:
        return scalars.written(value, as_json=self._json)

    def _inserted(self, mapping: marking.Node, name: str, value: Any) -> _Splice:
        """A new first item; behind `<<` where there is one, since what comes later wins."""
        merge = mapping.merges
        if mapping.flow:
            item = f"{scalars.written(name, as_json=self._json)}: {self._flow(value)}"
            if merge is not None:
                return _Splice(merge[1].end, merge[1].end, f", {item}")
            rest = ", " if mapping.pairs else ""
            return _Splice(mapping.start + 1, mapping.start + 1, f"{item}{rest}")
        item = scalars.block(name, value, mapping.column, self._newline)
        indent = " " * mapping.column
        if merge is not None:
            at = self._text.find("\n", merge[1].last)
            if at < 0:
                return _Splice(len(self._text), len(self._text), f"{self._newline}{indent}{item}")
            return _Splice(at + 1, at + 1, f"{indent}{item}{self._newline}")
        first = mapping.pairs[0][0].start
        return _Splice(first, first, f"{item}{self._newline}{indent}")


def _step(node: marking.Node, step: str | int) -> tuple[marking.Node | None, marking.Node] | None:
    if isinstance(step, str):
        return node.item(step)
    if node.kind == "sequence" and -len(node.items) <= step < len(node.items):
        return None, node.items[step]
    return None


def _nested(path: Path, value: Any) -> Any:
    for step in reversed(path):
        if not isinstance(step, str):
            msg = f"[{step}] is not written there"
            raise SpliceError(msg)
        value = {step: value}
    return value


# --- one plain value of a document that is known by what it says ------------------------------------------


def put(content: bytes, chosen: Chooser, path: Sequence[str], value: str) -> bytes:
    """The file with `path` set in the document that `chosen` picks; a missing last key is added.

    `value` is a plain scalar as it is to stand in the file: `true`, `12`, `web`.

    Raises `SpliceError`, and `lib.yaml.YamlError` for a file that cannot be read.
    """
    index, data = _chosen(content, chosen)
    there, parent = find(data, path[:-1])
    if not there or not isinstance(parent, Mapping):
        msg = f"{path[-2] if len(path) > 1 else 'the document'} is not a mapping"
        raise SpliceError(msg)
    return change(content, [Edit(index, tuple(path), reading.scalar(value)[0])])


def drop(content: bytes, chosen: Chooser, path: Sequence[str]) -> bytes:
    """The file without `path`, where it stands on a line of its own; elsewhere it is set to false.

    Raises as `put`.
    """
    index, data = _chosen(content, chosen)
    if not find(data, path)[0]:
        return content
    text = content.decode()
    bom = _BOM if text.startswith(_BOM) else ""
    text = text.removeprefix(_BOM)
    parent = marking.documents(text)[index]
    for name in path[:-1]:
        item = parent.item(name)
        parent = item[1] if item is not None else parent
    item = parent.item(path[-1])
    line = _line(text, parent, *item) if item is not None else None
    if line is None:
        return change(content, [Edit(index, tuple(path), False)])
    after = (bom + text[: line[0]] + text[line[1] :]).encode()
    desired = [copy.deepcopy(one.data) for one in reading.documents(content)]
    find(desired[index], path[:-1])[1].pop(path[-1])
    if [one.data for one in reading.documents(after)] != desired:
        msg = "the edit would change more than was asked for"
        raise SpliceError(msg)
    return after


def _chosen(content: bytes, chosen: Chooser) -> tuple[int, Any]:
    """Number and data of the one document that is meant."""
    before = reading.documents(content)
    indexes = [index for index, one in enumerate(before) if isinstance(one.data, dict) and chosen(one.data)]
    if len(indexes) != 1:
        msg = "there is no such document" if not indexes else "there are several such documents"
        raise SpliceError(msg)
    if "sops" in before[indexes[0]].data:
        msg = "it is encrypted, and its checksum would no longer hold: edit it with sops"
        raise SpliceError(msg)
    return indexes[0], before[indexes[0]].data


def _line(text: str, mapping: marking.Node, key: marking.Node, value: marking.Node) -> tuple[int, int] | None:
    """From where to where the line goes that holds this item and nothing else; None when there is no such line."""
    begin = text.rfind("\n", 0, key.start) + 1
    end = text.find("\n", value.end)
    end = len(text) if end < 0 else end + 1
    alone = not text[begin : key.start].strip() and re.fullmatch(r"[ \t]*(#.*)?\r?\n?", text[value.end : end])
    if mapping.flow or len(mapping.pairs) == 1 or value.kind != "scalar" or not alone:
        return None
    return begin, end
