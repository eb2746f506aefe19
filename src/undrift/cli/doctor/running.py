"""Checks of an agent that runs: what it says of itself, its sources and its targets."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from undrift import client, errors
from undrift.cli import telling
from undrift.cli.doctor import finding

_SKEW = 5.0
_OF_TARGETS = "UD5"
_OF_THE_DATABASE = "UD7"


def findings(agent: client.Client) -> Iterator[finding.Finding]:
    """What the agent tells. Raises `AgentUnavailable` when there is none."""
    found = agent.agent()
    applications = agent.status()
    since = telling.ago(found["started"])
    yield finding.Finding(
        "ok" if found["name"] else "warn",
        "agent",
        f"{found['name'] or 'not configured yet'}, version {found['version']}, started {since}",
        "" if found["name"] else "see what is wrong with its configuration below",
    )
    yield _clock(found)
    yield _database(applications)
    yield from (_source(one) for one in found["sources"])
    for error in found["errors"]:
        yield from told("configuration", error)
    yield from (_target(one["name"], applications) for one in found["targets"])


def told(what: str, error: Mapping[str, Any]) -> Iterator[finding.Finding]:
    """An error as findings; one that stands for several gives each."""
    for part in error.get("parts") or [error]:
        place = f"{part['where']}: " if part["where"] else ""
        why = f": {part['why'].splitlines()[0]}" if part["why"] else ""
        yield finding.Finding("fail", what, f"{part['code']} {place}{part['what']}{why}", part["hint"])


def _clock(found: Mapping[str, Any]) -> finding.Finding:
    skew = abs(found["now"] - time.time())
    if skew <= _SKEW:
        return finding.Finding("ok", "clock", "the agent's and this machine's agree")
    return finding.Finding(
        "warn", "clock", f"the agent's differs by {skew:.0f} s", "synchronise them: time windows depend on it"
    )


def _database(applications: Sequence[Mapping[str, Any]]) -> finding.Finding:
    wrong = _failures(applications, _OF_THE_DATABASE)
    if wrong:
        return next(told("database", wrong[0]))
    return finding.Finding("ok", "database", "it is read and written")


def _source(source: Mapping[str, Any]) -> finding.Finding:
    name = f"source {source['name']}"
    if source["error"]:
        return next(told(name, source["error"]))
    if source["revision"]:
        return finding.Finding("ok", name, f"{source['url']} at {source['revision']['short']}")
    return finding.Finding("warn", name, f"{source['url']} was not asked yet", "wait a moment")


def _target(name: str, applications: Sequence[Mapping[str, Any]]) -> finding.Finding:
    """A target is well when what is on it could be looked at."""
    on_it = [one for one in applications if one["target"] == name]
    wrong = _failures(on_it, _OF_TARGETS)
    if wrong:
        return next(told(f"target {name}", wrong[0]))
    count = f"{len(on_it)} application" + ("" if len(on_it) == 1 else "s")
    return finding.Finding("ok", f"target {name}", f"{count} on it")


def _failures(applications: Sequence[Mapping[str, Any]], codes: str) -> list[Mapping[str, Any]]:
    return [
        part
        for one in applications
        if one["failure"]
        for part in one["failure"].get("parts") or [one["failure"]]
        if part["code"].startswith(codes)
    ]


def away(error: errors.AgentUnavailable, *, planned: bool) -> finding.Finding:
    """No agent. That is no failure for somebody who is about to start one (and named its repository)."""
    return finding.Finding("warn" if planned else "fail", "agent", str(error), error.hint)
