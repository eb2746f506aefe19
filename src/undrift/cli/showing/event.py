"""Events as sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from undrift.cli import telling
from undrift.cli.showing import plan

_HIDDEN = ("application", "at", "kind", "number", "text")


def event(one: Mapping[str, Any]) -> list[str]:
    """One event: a line, and what it has to show below it."""
    tell = _SENTENCES.get(one["kind"], _anything)
    sentence, colour = tell(one)
    name = telling.style(one["application"], bold=True)
    head = (
        f"{telling.style(telling.clock(one['at']), dim=True)}  {name}  {telling.style(sentence, fg=colour)}"
    )
    return [head, *(f"    {plan.coloured(line)}" for line in _below(one))]


def _below(one: Mapping[str, Any]) -> list[str]:
    return str(one.get("text", "")).splitlines() if one["kind"] in _WITH_TEXT else []


_Sentence = tuple[str, str | None]


def _revision_seen(one: Mapping[str, Any]) -> _Sentence:
    by = f" by {telling.person(one['author'])}" if one["author"] else ""
    message = (one["message"].splitlines() or [""])[0]
    return f"new revision {telling.short(one['revision'])}{by}" + (f": {message}" if message else ""), None


def _drift_found(one: Mapping[str, Any]) -> _Sentence:
    return f"drift: {', '.join(one['resources'])}", "yellow"


def _plan_applied(one: Mapping[str, Any]) -> _Sentence:
    failed = f", {one['failed']} not" if one["failed"] else ""
    count = f"{one['applied']} change" + ("" if one["applied"] == 1 else "s")
    return f"applied {telling.short(one['revision'])}: {count}{failed}", "red" if failed else "green"


def _plan_stopped(one: Mapping[str, Any]) -> _Sentence:
    return f"stopped: {', '.join(one['codes'])}", "cyan"


def _failed(one: Mapping[str, Any]) -> _Sentence:
    at = f" at {telling.short(one['revision'])}" if one["revision"] else ""
    return f"failed in {one['phase']}{at}: {one['code']}", "red"


def _recovered(one: Mapping[str, Any]) -> _Sentence:
    return f"well again: {one['text']}", "green"


def _health_changed(one: Mapping[str, Any]) -> _Sentence:
    reason = f": {one['reason']}" if one["reason"] else ""
    return f"health {one['before']} → {one['after']}{reason}", None


def _order_given(one: Mapping[str, Any]) -> _Sentence:
    detail = f" {one['text']}" if one["text"] else ""
    return f"{one['order']} ordered by {one['by']}{detail}", "cyan"


def _anything(one: Mapping[str, Any]) -> _Sentence:
    rest = {key: value for key, value in one.items() if key not in _HIDDEN and value not in ("", [], None)}
    return "  ".join([one["kind"], *(f"{key}={value}" for key, value in rest.items())]), None


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], _Sentence]] = {
    "RevisionSeen": _revision_seen,
    "DriftFound": _drift_found,
    "PlanApplied": _plan_applied,
    "PlanStopped": _plan_stopped,
    "Failed": _failed,
    "Recovered": _recovered,
    "HealthChanged": _health_changed,
    "OrderGiven": _order_given,
}
_WITH_TEXT = frozenset({"DriftFound", "PlanStopped", "Failed"})
