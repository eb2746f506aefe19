"""What an agent tells CI of one application: what it applied, how that does, and since when. Written to Git as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from undrift.model import health

VERSION = 1
REFS = "refs/undrift/reports/"
"""Where agents put their reports in the GitOps repository: a ref each, with a file `<application>.json` each."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An agent's word on one application. Times are seconds since the epoch, by the agent's clock.

    `path` is where its files are in the GitOps repository; `revision` is the commit id that was applied last and
    `tree` Git's id of `path` at it ("": nothing was applied yet), `seen` the newest commit id that the agent knows.
    `health` with that tree has held without a break since `since`; it was seen at `observed`. `within` is in how
    many seconds the agent speaks again, if only to say that nothing changed: who is silent for longer does not know.
    `ending` is that of the last reconcile, `reason` says in plain words what is wrong and what next.
    """

    application: str
    agent: str
    path: str = "."
    revision: str = ""
    tree: str = ""
    seen: str = ""
    health: health.Status = health.Status.UNKNOWN
    since: float = 0.0
    observed: float = 0.0
    within: float = 0.0
    ending: str = ""
    reason: str = ""

    @property
    def news(self) -> tuple[object, ...]:
        """What CI wants to hear of at once when it changes; times and commits that change nothing are not in it."""
        return (self.path, self.tree, self.health, self.since, self.ending, self.reason)

    def silent(self, now: float) -> bool:
        """Whether the agent should have spoken again by now: then nobody knows how the application does."""
        return now > self.observed + self.within

    def encode(self) -> bytes:
        """As the content of a file."""
        told = {"version": VERSION, **dataclasses.asdict(self)}
        return (json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def follow(before: Report | None, now: Report) -> Report:
    """`now`, with `since` taken from the report before it where nothing broke: same tree, same health, no silence."""
    if before is None or (before.tree, before.health) != (now.tree, now.health):
        return dataclasses.replace(now, since=now.observed)
    if before.silent(now.observed):
        return dataclasses.replace(now, since=now.observed)
    return dataclasses.replace(now, since=min(before.since, now.observed))


def decode(content: bytes) -> Report:
    """The report that `encode` wrote; fields that are not known are left out. Raises `ValueError` saying what is wrong."""
    try:
        told = json.loads(content.decode("utf-8"))
    except ValueError:
        msg = "it is not JSON"
        raise ValueError(msg) from None
    version = told.get("version") if isinstance(told, Mapping) else None
    if version != VERSION:
        msg = f"its version is {version!r}, and {VERSION} is the only one known here: install a newer Undrift"
        raise ValueError(msg)
    return _checked(told)


def _checked(told: Mapping[str, Any]) -> Report:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Report):
        if field.name not in told:
            continue
        value = told[field.name]
        if field.name in ("since", "observed", "within"):
            values[field.name] = _number(field.name, value)
        elif not isinstance(value, str):
            msg = f"{field.name} is not text"
            raise ValueError(msg)
        else:
            values[field.name] = value
    if "health" in values:
        values["health"] = _health(values["health"])
    if not values.get("application") or not values.get("agent"):
        msg = "it does not name its application and agent"
        raise ValueError(msg)
    return Report(**values)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        msg = f"{name} is not a number"
        raise ValueError(msg)
    return float(value)


def _health(value: str) -> health.Status:
    """A word that is not known here is no health that anybody can build on."""
    try:
        return health.Status(value)
    except ValueError:
        return health.Status.UNKNOWN
