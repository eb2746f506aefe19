"""Paths into data as people write them: `spec.ports[0].name`, `metadata.annotations["a.b/c"]`, `list[name=web].x`.

A backslash takes a dot for what it is.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_STEP: Final = re.compile(
    r"""\.?(?:
    \[(?P<index>-?\d+)\]
    |\[(?P<quote>["'])(?P<quoted>.*?)(?P=quote)\]
    |\[(?P<key>[^\]=\["']+)=(?P<value>[^\]]*)\]
    |(?P<name>(?:\\.|[^.\[\]\\])+)
    )""",
    re.VERBOSE,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Where:
    """The item of a list whose `key` is `value`."""

    key: str
    value: str


Step = str | int | Where


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path. Raises `ValueError`."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or (at == 0 and text[0] == "."):
            msg = f"{text!r} is no path: what is at {text[at:]!r}?"
            raise ValueError(msg)
        if found["index"] is not None:
            steps.append(int(found["index"]))
        elif found["quote"]:
            steps.append(found["quoted"])
        elif found["key"]:
            steps.append(Where(found["key"], found["value"]))
        else:
            steps.append(re.sub(r"\\(.)", r"\1", found["name"]))
        at = found.end()
    if not steps:
        msg = "an empty path names nothing"
        raise ValueError(msg)
    return tuple(steps)


def resolve(data: Any, steps: Sequence[Step]) -> tuple[str | int, ...]:
    """As many of the steps as there are in `data`, items of lists by their numbers."""
    found: list[str | int] = []
    for step in steps:
        if isinstance(data, list):
            index = _index(data, step)
            if index is None:
                break
            found.append(index)
            data = data[index]
        elif isinstance(data, Mapping) and isinstance(step, str) and step in data:
            found.append(step)
            data = data[step]
        else:
            break
    return tuple(found)


def write(steps: Sequence[Step]) -> str:
    """The path as text that `parse` reads."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif isinstance(step, Where):
            text += f"[{step.key}={step.value}]"
        elif re.search(r"[.\[\]\\]", step) or not step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def leaves(data: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of everything in `data`, mappings and lists too."""
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(data, Mapping):
        items = ((str(key), value) for key, value in data.items())
    elif isinstance(data, list):
        items = iter(enumerate(data))
    for step, value in items:
        yield (*above, step)
        yield from leaves(value, (*above, step))


def _index(data: list[Any], step: Step) -> int | None:
    if isinstance(step, int):
        return step % len(data) if -len(data) <= step < len(data) else None
    if isinstance(step, Where):
        for index, one in enumerate(data):
            if isinstance(one, Mapping) and str(one.get(step.key)) == step.value:
                return index
    return None
