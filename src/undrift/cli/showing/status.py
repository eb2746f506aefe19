"""Applications: all at a glance, or one in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from undrift.cli import telling, terminal
from undrift.cli.showing import history

STATES: Mapping[str, tuple[str, str | None]] = {
    "in sync": ("✓", "green"),
    "drifting": ("≠", "yellow"),
    "failing": ("✗", "red"),
    "waiting": ("◷", "cyan"),
    "reconciling": ("…", None),
    "unknown": ("?", None),
}
_WORST_FIRST = ("failing", "drifting", "waiting", "reconciling", "unknown", "in sync")
_COLUMNS = ("APPLICATION", "STATE", "HEALTH", "REVISION", "CHANGED")
_DROPPED_FIRST = (4, 2, 3)
_SHORTEST_NAME = 12
_RECENT = 5


def glance(
    found: Sequence[Mapping[str, Any]],
    width: int | None,
    height: int | None = None,
    troubles: Sequence[str] = (),
) -> list[str]:
    """Every application, the worst first, under a line that sums up; `height` lines of them at most.

    `troubles` are what fails beside the applications: sources, the configuration.
    """
    told = [line for one in troubles for line in terminal.paragraph(f"✗ {one}", width, "")]
    told = [telling.style(line, fg="red") for line in told]
    lines = [summary(found), *told, *([""] if found else []), *_rows(found, width)]
    if height is None or len(lines) <= height:
        return lines
    rest = sum(1 for line in lines[height - 1 :] if not line.startswith("    "))
    return [*lines[: height - 1], telling.style(f"… and {rest} more", dim=True)]


def troubles(agent: Mapping[str, Any]) -> list[str]:
    """What fails beside the applications, by what the agent says of itself."""
    sources = [(f"source {one['name']}: ", one["error"]) for one in agent["sources"] if one["error"]]
    return [
        before + _in_short(error) for before, error in [*sources, *(("", one) for one in agent["errors"])]
    ]


def _in_short(error: Mapping[str, Any]) -> str:
    place = f"{error['where']}: " if error["where"] else ""
    reason = f": {error['why'].splitlines()[0]}" if error["why"] else ""
    return f"{error['code']} {place}{error['what']}{reason}"


def summary(found: Sequence[Mapping[str, Any]]) -> str:
    """How many are in which state."""
    counts = {name: sum(1 for one in found if one["state"] == name) for name in STATES}
    parts = [state(name, f"{STATES[name][0]} {count} {name}") for name, count in counts.items() if count]
    return "  ".join(parts) if parts else "no applications: none is declared for this agent yet"


def _rows(found: Sequence[Mapping[str, Any]], width: int | None) -> Iterator[str]:
    worst_first = sorted(found, key=lambda one: (_WORST_FIRST.index(one["state"]), one["name"]))
    rows = [list(_COLUMNS), *(_row(one) for one in worst_first)]
    rows = _fitted(rows, width) if found else []
    lines = terminal.table(rows)
    if lines:
        yield f"  {telling.style(lines[0], dim=True)}"
    for one, line in zip(worst_first, lines[1:], strict=True):
        yield f"{state(one['state'], STATES[one['state']][0])} {line}"
        reason = why(one)
        if reason:
            yield from terminal.paragraph(reason, width, "    ")


def _row(one: Mapping[str, Any]) -> list[str]:
    revision = one["applied_revision"] or one["revision"]
    return [
        one["name"],
        state(one["state"], one["state"]),
        one["health"]["status"],
        revision["short"] if revision else "-",
        telling.ago(one["changed"]),
    ]


def _fitted(rows: list[list[str]], width: int | None) -> list[list[str]]:
    """Columns are left out, and names shortened, until a line fits."""
    if width is None:
        return rows
    kept = list(range(len(_COLUMNS)))
    for index in _DROPPED_FIRST:
        if _size(rows, kept) <= width:
            break
        kept.remove(index)
    room = max(_SHORTEST_NAME, width - _size(rows, kept[1:]) - 2)
    return [[terminal.fit(row[0], room), *(row[index] for index in kept[1:])] for row in rows]


def _size(rows: list[list[str]], kept: Sequence[int]) -> int:
    """Columns of a line that has these columns of the table, its symbol included."""
    return 2 + sum(max(terminal.length(row[index]) for row in rows) + 2 for index in kept) - 2


def state(name: str, text: str) -> str:
    """Text in the colour of a state."""
    return telling.style(text, fg=STATES.get(name, ("", None))[1])


def why(one: Mapping[str, Any]) -> str:
    """The one thing that a person has to know about an application; "" when all is well."""
    if one["failure"]:
        told = (one["failure"].get("parts") or [one["failure"]])[0]
        more = len(one["failure"].get("parts", ())) - 1
        return _in_short(told) + (f" (and {more} more)" if more > 0 else "")
    if one["hold"]:
        return f"held until {telling.clock(one['hold']['until'])} by {one['hold']['by']}"
    if one["stops"]:
        return "; ".join(f"{stop['code']} {stop['what']}" for stop in one["stops"])
    if one["drift"]:
        return f"drift: {', '.join(one['drift'])}"
    if one["warnings"]:
        return f"{one['warnings'][0]['code']} {one['warnings'][0]['what']}"
    if one["suspended"]:
        return "suspended in Git"
    return str(one["health"]["reason"]) if one["health"]["status"] != "Healthy" else ""


def application(one: Mapping[str, Any]) -> Iterator[str]:
    """One application in full."""
    sign = state(one["state"], f"{STATES[one['state']][0]} {one['state']}")
    yield f"{telling.style(one['name'], bold=True)}  {sign}  {one['health']['status']}"
    yield from (telling.labelled(name, text, 12) for name, text in _facts(one))
    if one["failure"]:
        yield ""
        yield from telling.lines(one["failure"])
    for stop in one["stops"]:
        yield ""
        yield from telling.stop(stop)
    for warning in one["warnings"]:
        yield ""
        yield from telling.lines(warning, "warning", "yellow")
    sick = [each for each in one["resources"] if each["health"] != "Healthy"]
    if sick:
        yield ""
        yield from (f"  {each['health']}: {each['id']}  {each['reason']}".rstrip() for each in sick)
    if one["history"]:
        yield ""
        yield from history.history(one["history"][:_RECENT])


def _facts(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    revision, applied = one["revision"], one["applied_revision"]
    source, hold = one["source"], one["hold"]
    told = [
        ("target", one["target"]),
        ("source", f"{source['url']} {source['path']}".strip()),
        ("mode", one["mode"] + (", suspended in Git" if one["suspended"] else "")),
        ("revision", history.revision(revision)),
        ("applied", history.revision(applied) if applied != revision else ""),
        ("held back", ", ".join(telling.short(name) for name in one["held_back"])),
        ("depends on", ", ".join(one["depends_on"])),
        ("owns", f"{one['owned']} resources"),
        ("changed", telling.ago(one["changed"])),
        ("looked", telling.ago(one["looked"])),
        ("held", f"until {telling.clock(hold['until'])} by {hold['by']}" if hold else ""),
        ("drift", ", ".join(one["drift"])),
        ("declared", one["origin"]),
    ]
    return [(name, text) for name, text in told if text]
