"""Plans and their changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from undrift.cli import telling

SYMBOLS: Mapping[str, tuple[str, str | None]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "recreate": ("±", "red"),
    "adopt": ("»", "cyan"),
    "move": ("→", "cyan"),
    "mark": ("·", None),
    "release": ("«", "cyan"),
}
_REASONS = {
    "drift": "drift",
    "prune": "no longer declared",
    "ownership": "ownership",
    "declared": "",
    "input": "another input",
}
_COMMITTED = frozenset({"config", "source"})
_DIGITS = 12


def plan(found: Mapping[str, Any], *, text: bool, placed: bool = False) -> Iterator[str]:
    """A plan: what it comes to, its changes (with `text` as diffs), what is left alone, noticed, what stops it.

    `placed` names the target, and what has to be well before, too.
    """
    waves: Sequence[Sequence[Mapping[str, Any]]] = found["waves"]
    yield _headline(found, waves, placed=placed)
    if waves:
        yield from inputs(found)
    for number, wave in enumerate(waves, start=1):
        yield ""
        if len(waves) > 1:
            yield telling.style(f"  wave {number} of {len(waves)}", dim=True)
        for one in wave:
            yield from change(one, text=text)
    if found["withheld"]:
        yield ""
        yield "  left alone, as the policy says:"
        for one in found["withheld"]:
            yield from change(one, text=text)
    for warning in found["warnings"]:
        yield ""
        yield from telling.lines(warning, "warning", "yellow")
    for told in found["stops"]:
        yield ""
        yield from telling.stop(told)
    if waves and found["digest"]:
        yield ""
        approved = found["approved_by"]
        yield f"digest {found['digest']}" + (f", approved by {approved}" if approved else "")


def _headline(found: Mapping[str, Any], waves: Sequence[Sequence[Mapping[str, Any]]], *, placed: bool) -> str:
    changes = [one for wave in waves for one in wave]
    counts = {action: sum(1 for one in changes if one["action"] == action) for action in SYMBOLS}
    told = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
    idle = "it waits" if found["stops"] else "nothing to do"
    revision = telling.short(found.get("revision"))
    where = f" at {revision}" if revision else ""
    name = telling.style(found["application"], bold=True)
    if placed and found.get("target"):
        name += f" on {found['target']} ({found['provider']})"
        word = "before" if found["leaving"] else "after"
        name += f" {word} {', '.join(found['depends_on'])}" if found["depends_on"] else ""
    return f"{name}{where}: {told or idle}, {found['unchanged']} unchanged"


def inputs(found: Mapping[str, Any]) -> Iterator[str]:
    """What changed besides the commit since the last good plan: a tool, a fact, a secret."""
    others = [name for name in found["news"] if name not in _COMMITTED]
    if others:
        only = " with no commit" if len(others) == len(found["news"]) else ""
        yield f"  changed{only}: {', '.join(others)}"


def change(one: Mapping[str, Any], *, text: bool) -> Iterator[str]:
    """One change: what it does to which resource, why, and where that is declared."""
    reason = _REASONS.get(one["reason"], one["reason"])
    notes = [note for note in (reason, f"from {one['from']}" if one["from"] else "") if note]
    why = f"  ({', '.join(notes)})" if notes else ""
    where = f"  {one['origin']}" if one["origin"] else ""
    yield f"  {symbol(one['action'])} {one['id']}{why}{telling.style(where, dim=True)}"
    if not text:
        return
    if one["text"]:
        yield from (f"      {coloured(line)}" for line in one["text"].splitlines())
    else:
        for field in one["fields"]:
            yield f"      {field['path']}: {_value(field['before'])} → {_value(field['after'])}"


def symbol(action: str) -> str:
    """The sign of an action, in its colour."""
    sign, colour = SYMBOLS.get(action, ("?", None))
    return telling.style(sign, fg=colour)


def coloured(line: str) -> str:
    """A line of a unified diff."""
    if line.startswith(("+++", "---")):
        return telling.style(line, bold=True)
    colours = {"+": "green", "-": "red", "@": "cyan"}
    return telling.style(line, fg=colours.get(line[:1]))


def approving(found: Mapping[str, Any]) -> str:
    """The command that approves a plan."""
    digits = found["digest"].partition(":")[2][:_DIGITS]
    return f"undrift approve {found['application']} {digits}"


def _value(value: Any) -> str:
    if value is None:
        return "absent"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
