"""Where everything stands in a YAML text: a tree of its documents that keeps aliases, anchors and styles as written.

`lib.yaml` says what a text means; this says which characters to replace so that it means something else. Both read
with libyaml.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from undrift.lib import yaml as reading

_PROPERTIES: Final = re.compile(r"(?:\s|#[^\n]*\n|[&!]\S*(?=\s))*")


@dataclasses.dataclass(slots=True, eq=False)
class Node:
    """What is written at one place, from `start` (behind anchor and tag) to `end`, counted in characters.

    `value` is the text of a scalar; `pairs` are the items of a mapping, `items` those of a sequence. Of an alias
    `target` is what it stands for. `style` is the quote or `|` or `>` of a scalar, "" for a plain one; `flow` says
    `{}` or `[]`.
    """

    kind: str
    start: int
    end: int
    column: int
    value: str = ""
    style: str = ""
    flow: bool = False
    anchor: str = ""
    pairs: list[tuple[Node, Node]] = dataclasses.field(default_factory=list)
    items: list[Node] = dataclasses.field(default_factory=list)
    target: Node | None = None

    @property
    def real(self) -> Node:
        """Itself, or what an alias stands for."""
        return self.target.real if self.target is not None else self

    @property
    def last(self) -> int:
        """Where what is written in it ends, without the blank lines and comments that follow."""
        if self.kind in {"mapping", "sequence"} and not self.flow:
            inner = self.pairs[-1][1] if self.pairs else self.items[-1] if self.items else None
            if inner is not None:
                return inner.last
        return self.end

    def item(self, name: str) -> tuple[Node, Node] | None:
        """Key and value of a mapping's item; None when it is not written there."""
        for key, value in self.pairs:
            if key.kind == "scalar" and (key.value == name or _read_as(key, name)):
                return key, value
        return None

    @property
    def merges(self) -> tuple[Node, Node] | None:
        """The item `<<` of a mapping."""
        for key, value in self.pairs:
            if key.kind == "scalar" and key.value == "<<" and not key.style:
                return key, value
        return None


def documents(text: str) -> list[Node]:
    """The documents that hold something, in order, as `lib.yaml.documents` counts them.

    `text` has been read by `lib.yaml` before, so that it is known to be YAML.
    """
    events = yaml.parse(text, Loader=yaml.CSafeLoader)
    return [node for node in _Marker(text).read(events) if not _is_null(node)]


def aliases(node: Node) -> Iterator[Node]:
    """All aliases in a document."""
    if node.kind == "alias":
        yield node
    for key, value in node.pairs:
        yield from aliases(key)
        yield from aliases(value)
    for item in node.items:
        yield from aliases(item)


class _Marker:
    """Reads one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._anchors: dict[str, Node] = {}

    def read(self, events: Iterator[yaml.Event]) -> Iterator[Node]:
        """The documents."""
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                yield self._node(next(events), events)

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event]) -> Node:
        start, column = _place(event.start_mark)
        end, _ = _place(event.end_mark)
        if isinstance(event, yaml.AliasEvent):
            return Node("alias", start, end, column, target=self._anchors[str(event.anchor)])
        anchor = str(getattr(event, "anchor", None) or "")
        if anchor or getattr(event, "tag", None):
            found = _PROPERTIES.match(self._text, start)
            start = found.end() if found is not None else start
        if isinstance(event, yaml.ScalarEvent):
            node = Node("scalar", min(start, end), end, column, event.value, event.style or "")
        elif isinstance(event, yaml.MappingStartEvent):
            node = Node("mapping", start, start, column, flow=bool(event.flow_style))
        else:
            node = Node("sequence", start, start, column, flow=bool(getattr(event, "flow_style", False)))
        if anchor:
            node.anchor = anchor
            self._anchors[anchor] = node
        if node.kind != "scalar":
            self._fill(node, events)
        return node

    def _fill(self, node: Node, events: Iterator[yaml.Event]) -> None:
        """Read what is in a mapping or a sequence."""
        for event in events:
            if isinstance(event, yaml.CollectionEndEvent):
                node.end, _ = _place(event.end_mark)
                break
            first = self._node(event, events)
            if node.kind == "mapping":
                node.pairs.append((first, self._node(next(events), events)))
            else:
                node.items.append(first)
        if not node.flow and node.pairs:
            node.column = _column(self._text, node.pairs[0][0].start)


def _place(mark: Any) -> tuple[int, int]:
    """Index and column of a mark; events of a text that was read have them all."""
    return mark.index, mark.column


def _column(text: str, index: int) -> int:
    return index - (text.rfind("\n", 0, index) + 1)


def _read_as(key: Node, name: str) -> bool:
    """`lib.yaml` calls a plain `on` as key `true`, and a number by its digits."""
    if key.style:
        return False
    value = reading.scalar(key.value)[0]
    if isinstance(value, bool):
        return name == ("true" if value else "false")
    return not isinstance(value, str) and value is not None and name == str(value)


def _is_null(node: Node) -> bool:
    return node.kind == "scalar" and not node.style and reading.scalar(node.value)[0] is None
