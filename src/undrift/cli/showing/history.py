"""Reconciles of the past, and revisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from undrift.cli import telling
from undrift.cli.showing import plan

_ENDINGS = {
    "in sync": "green",
    "applied": "green",
    "waiting": "cyan",
    "failed": "red",
    "rolled back": "yellow",
}


def history(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Reconciles, newest first, with what each changed."""
    for one in found:
        yield _headline(one)
        if one["results"]:
            yield from (f"  {line}" for line in plan.inputs({"news": one.get("news", ())}))
        for result in one["results"]:
            yield from _result(result)
        if one["failure"]:
            yield from _told(one["failure"])
        for stop in one["stops"]:
            yield from _told(stop)
        if one.get("rollback"):
            yield from (f"    {line}" for line in history([one["rollback"]]))


def _headline(one: Mapping[str, Any]) -> str:
    found = one["applied_revision"] or one["revision"]
    ending = telling.style(one["ending"], fg=_ENDINGS.get(one["ending"]))
    done = sum(1 for result in one["results"] if result["outcome"] == "applied")
    parts = [telling.style(telling.clock(one["started"]), dim=True), one["application"], ending]
    parts += [revision(found)] if found else []
    parts += [f"{done} of {len(one['results'])} changes"] if one["results"] else []
    return "  ".join(parts)


def _result(result: Mapping[str, Any]) -> Iterator[str]:
    notes = "  (drift)" if result["reason"] == "drift" else ""
    notes += "" if result["outcome"] == "applied" else f"  {result['outcome']}"
    yield f"    {plan.symbol(result['action'])} {result['id']}{notes}"
    if result["error"]:
        yield f"        {result['error']['code']} {result['error']['what']}"


def _told(error: Mapping[str, Any]) -> Iterator[str]:
    for part in error.get("parts") or [error]:
        why = f": {part['why'].splitlines()[0]}" if part["why"] else ""
        where = f"{part['where']}: " if part["where"] else ""
        yield f"    {part['code']} {where}{part['what']}{why}"


def revision(found: Mapping[str, Any] | None) -> str:
    """A revision: its short name, what its author said, and who that is."""
    if not found:
        return ""
    message = (found["message"].splitlines() or [""])[0]
    by = f"({telling.person(found['author'])})" if found["author"] else ""
    return "  ".join(part for part in (found["short"], f"{message} {by}".strip()) if part)
