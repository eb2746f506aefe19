"""Plans, applications and history as text. Pure: JSON data in, lines out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from undrift.cli import telling

_SYMBOLS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "recreate": ("±", "red"),
    "adopt": ("»", "cyan"),
    "move": ("→", "cyan"),
    "mark": ("·", None),
    "release": ("«", "cyan"),
}
_STATES = {
    "in sync": ("✓", "green"),
    "drifting": ("≠", "yellow"),
    "waiting": ("⏸", "cyan"),
    "failing": ("✗", "red"),
    "reconciling": ("…", None),
    "unknown": ("?", None),
}
_ORDER = ("failing", "waiting", "drifting", "reconciling", "unknown", "in sync")


def plan(found: Mapping[str, Any], *, text: bool) -> Iterable[str]:
    """A plan: its waves, what is left alone, what stops it, and its digest."""
    changes = [change for wave in found["waves"] for change in wave]
    if not changes and not found["stops"]:
        yield f"{found['application']}: nothing to do, {found['unchanged']} resources are as declared"
    for change in changes:
        yield from _change(change, text=text)
    if found["withheld"]:
        yield "left alone by policy:"
        for change in found["withheld"]:
            yield from _change(change, text=text)
    for stop in found["stops"]:
        yield ""
        yield from telling.lines(stop)
    if changes:
        counts = {action: sum(1 for one in changes if one["action"] == action) for action in _SYMBOLS}
        told = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
        yield ""
        yield f"{found['application']}: {told}; {found['unchanged']} unchanged"
        yield f"digest {found['digest']}"


def _change(change: Mapping[str, Any], *, text: bool) -> Iterable[str]:
    symbol, colour = _SYMBOLS[change["action"]]
    why = "" if change["reason"] in ("declared", "prune") else f"  ({change['reason']})"
    where = f"  {change['origin']}" if change["origin"] else ""
    yield f"{telling.style(symbol, fg=colour)} {change['id']}{why}{telling.style(where, dim=True)}"
    if not text:
        return
    if change["text"]:
        yield from (_coloured(line) for line in change["text"].splitlines())
    else:
        for field in change["fields"]:
            yield f"    {field['path']}: {_value(field['before'])} → {_value(field['after'])}"


def _coloured(line: str) -> str:
    if line.startswith("+") and not line.startswith("+++"):
        return "    " + telling.style(line, fg="green")
    if line.startswith("-") and not line.startswith("---"):
        return "    " + telling.style(line, fg="red")
    return f"    {line}"


def _value(value: Any) -> str:
    return "absent" if value is None else str(value)


def status(found: Sequence[Mapping[str, Any]], width: int) -> Iterable[str]:
    """Every application, the worst first, under one line that sums up."""
    counts = {state: sum(1 for one in found if one["state"] == state) for state in _ORDER}
    parts = [_state(state, f"{count} {state}") for state, count in counts.items() if count]
    yield " · ".join(parts) if parts else "no applications"
    if not found:
        return
    yield ""
    worst_first = sorted(found, key=lambda one: (_ORDER.index(one["state"]), one["name"]))
    rows = [["", "APPLICATION", "STATE", "HEALTH", "REVISION", "CHANGED", "WHY"]]
    rows += [_row(one) for one in worst_first]
    yield from telling.table(rows, width)


def _row(one: Mapping[str, Any]) -> list[str]:
    symbol, colour = _STATES[one["state"]]
    revision = one["applied_revision"] or one["revision"]
    return [
        telling.style(symbol, fg=colour),
        one["name"],
        _state(one["state"], one["state"]),
        one["health"]["status"],
        revision["short"] if revision else "-",
        telling.ago(one["changed"]),
        why(one),
    ]


def _state(state: str, text: str) -> str:
    return telling.style(text, fg=_STATES[state][1])


def why(one: Mapping[str, Any]) -> str:
    """The one thing that a person has to know about an application; "" when all is well."""
    if one["failure"]:
        place = f"{one['failure']['where']}: " if one["failure"]["where"] else ""
        return f"{one['failure']['code']} {place}{one['failure']['what']}"
    if one["stops"]:
        return f"{one['stops'][0]['code']} {one['stops'][0]['what']}"
    if one["hold"]:
        return f"held until {_clock(one['hold']['until'])} by {one['hold']['by']}"
    if one["drift"]:
        return f"drift: {', '.join(one['drift'])}"
    if one["warnings"]:
        return str(one["warnings"][0]["what"])
    return str(one["health"]["reason"]) if one["health"]["status"] != "Healthy" else ""


def application(one: Mapping[str, Any]) -> Iterable[str]:
    """One application in full."""
    yield f"{telling.style(one['name'], bold=True)}  {_state(one['state'], one['state'])}  {one['health']['status']}"
    revision, applied = one["revision"], one["applied_revision"]
    rows = [
        ("target", one["target"]),
        ("source", f"{one['source']['url']} {one['source']['path']}"),
        ("mode", one["mode"] + (", suspended" if one["suspended"] else "")),
        ("revision", _revision(revision)),
        ("applied", _revision(applied) if applied != revision else ""),
        ("depends on", ", ".join(one["depends_on"])),
        ("owns", f"{one['owned']} resources"),
        ("changed", telling.ago(one["changed"])),
        ("looked", telling.ago(one["looked"])),
        ("held", f"until {_clock(one['hold']['until'])} by {one['hold']['by']}" if one["hold"] else ""),
        ("held back", ", ".join(one["held_back"])),
        ("declared", one["origin"]),
    ]
    yield from (f"  {label + ':':<12}{text}" for label, text in rows if text)
    if one["failure"]:
        yield ""
        yield from telling.lines(one["failure"])
    for stop in one["stops"]:
        yield ""
        yield from telling.lines(stop)
    sick = [each for each in one["resources"] if each["health"] != "Healthy"]
    for each in sick:
        yield f"  {each['health']}: {each['id']} {each['reason']}"
    if one["history"]:
        yield ""
        yield from history(one["history"][:5])


def _revision(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    return "  ".join(part for part in (found["short"], found["author"], found["message"]) if part)


def history(found: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Reconciles, newest first, with what each changed."""
    for one in found:
        revision = one["applied_revision"] or one["revision"]
        done = [result for result in one["results"] if result["outcome"] == "applied"]
        head = [_clock(one["started"]), one["application"], one["ending"]]
        head += [revision["short"]] if revision else []
        head += [f"{len(done)} of {len(one['results'])} changes"] if one["results"] else []
        yield "  ".join(head)
        for result in one["results"]:
            symbol, colour = _SYMBOLS[result["action"]]
            outcome = "" if result["outcome"] == "applied" else f"  {result['outcome']}"
            yield f"    {telling.style(symbol, fg=colour)} {result['id']}{outcome}"
        if one["failure"]:
            yield f"    {one['failure']['code']} {one['failure']['what']}: {one['failure']['why']}".rstrip(
                ": "
            )
        for stop in one["stops"]:
            yield f"    {stop['code']} {stop['what']}"


def event(one: Mapping[str, Any]) -> str:
    """One event as a line (or several, when it has a text)."""
    rest = {
        key: value
        for key, value in one.items()
        if key not in ("application", "at", "kind", "number", "text") and value not in ("", [], None)
    }
    told = "  ".join(f"{key}={value}" for key, value in rest.items())
    text = "".join(f"\n    {line}" for line in str(one.get("text", "")).splitlines())
    return f"{_clock(one['at'])}  {one['kind']}  {one['application']}  {told}{text}".rstrip()


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
