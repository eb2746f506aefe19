"""The unit that is reconciled: source + renderer + target + policy."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from undrift import errors
from undrift.model import output


class Mode(enum.StrEnum):
    """Who lets a plan run."""

    AUTOMATIC = "automatic"
    APPROVAL = "approval"
    OBSERVE = "observe"


class OnFailure(enum.StrEnum):
    """What happens after a change failed during apply."""

    STOP = "stop"
    ROLLBACK = "rollback"


class DeletionPolicy(enum.StrEnum):
    """What happens to what an application owns when its document is removed from Git."""

    APPROVE = "approve"
    DELETE = "delete"
    ORPHAN = "orphan"


class WindowKind(enum.StrEnum):
    """Whether changes are allowed or denied while a window is open."""

    ALLOW = "allow"
    DENY = "deny"


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """A recurring span of wall-clock time.

    `days` are ISO weekdays (1 = Monday); `start` and `end` are minutes after local midnight in the IANA
    zone `zone`; an `end` not after `start` lies on the next day.
    """

    kind: WindowKind
    days: frozenset[int]
    start: int
    end: int
    zone: str = "UTC"


@dataclasses.dataclass(frozen=True, slots=True)
class DeletionLimit:
    """Stop when more than `count`, or more than `percent` of at least `count` owned, would be deleted."""

    count: int = 10
    percent: int = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """Capped exponential back-off, in seconds; `limit` attempts (0 = for ever)."""

    first: float = 5.0
    cap: float = 300.0
    factor: float = 2.0
    limit: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Ignore:
    """Fields of resources (glob on their id) that we leave alone: below a path, or written by somebody, or both.

    `path` is dotted or a JSON pointer, `*` matches one step; "" is any. `manager` is a glob on writers; "" is any.
    """

    resources: str
    path: str = ""
    manager: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """How an application is kept true. The defaults are those of the product.

    `adopt`: globs on resource ids that may be taken over although they exist already and are nobody's.
    `recreate`: globs on ids that may be deleted and made again when a field cannot be changed in place.
    `delete_protected`: globs on ids that may be pruned although they are protected or hold data.
    """

    mode: Mode = Mode.AUTOMATIC
    prune: bool = True
    self_heal: bool = True
    on_failure: OnFailure = OnFailure.STOP
    deletion_limit: DeletionLimit = DeletionLimit()
    retry: Retry = Retry()
    windows: tuple[Window, ...] = ()
    adopt: tuple[str, ...] = ()
    recreate: tuple[str, ...] = ()
    delete_protected: tuple[str, ...] = ()
    ignore: tuple[Ignore, ...] = ()
    allow_empty: bool = False
    health_timeout: float = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class SourceReference:
    """Which source, and the path in it."""

    name: str
    path: str = "."


@dataclasses.dataclass(frozen=True, slots=True)
class RendererSettings:
    """Which renderer and what it is told."""

    kind: str = "plain"
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """So many of a number: a count, or a percentage of it rounded up."""

    count: int = 0
    percent: int = 0

    def of(self, whole: int) -> int:
        """The count that it is of a whole."""
        return min(whole, self.count + -(-whole * self.percent // 100))


@dataclasses.dataclass(frozen=True, slots=True)
class Rollout:
    """The order in which applications that are alike take a change.

    `group` names them together. `batches` say how many have it in all after each step; the last step is all of them.
    So many as `unavailable` may be away or unwell without holding up the others.
    """

    group: str
    batches: tuple[Share, ...] = (Share(1), Share(percent=25))
    unavailable: Share = Share()


@dataclasses.dataclass(frozen=True, slots=True)
class Application:
    """A declared application (`kind: Application`).

    `name` is its identity; `moved_from` are names it had before. `takes_from` names applications whose
    resources it may take over in one step. `decommissioned` is set by the agent for an application whose
    document left Git while it still owns something, and `farewells` says that it declares resources for that day.
    `generator` names the ApplicationGenerator that made it.
    `account` is as whom changes are made on the target; "" is as the target's own credentials say. `outputs` are what
    it publishes for those that depend on it. `rollout` says in which order it and its like take a change.
    """

    name: str
    source: SourceReference
    target: str
    renderer: RendererSettings = RendererSettings()
    policy: Policy = Policy()
    project: str = "default"
    namespace: str = ""
    account: str = ""
    interval: float = 300.0
    depends_on: tuple[str, ...] = ()
    moved_from: tuple[str, ...] = ()
    takes_from: tuple[str, ...] = ()
    deletion_policy: DeletionPolicy = DeletionPolicy.APPROVE
    suspended: bool = False
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origin: errors.Origin | None = None
    decommissioned: bool = False
    farewells: bool = False
    generator: str = ""
    outputs: tuple[output.Output, ...] = ()
    rollout: Rollout | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Project:
    """What applications of a project may use (`kind: Project`): globs; an empty tuple allows nothing.

    `sources` match URLs or names, `targets` names, `namespaces` and `kinds` those of resources, `accounts` those
    that changes may be made as.
    """

    name: str
    sources: tuple[str, ...] = ("*",)
    targets: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ("*",)
    kinds: tuple[str, ...] = ("*",)
    accounts: tuple[str, ...] = ("*",)
    deletion_policy: DeletionPolicy | None = None
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


DEFAULT_PROJECT = Project("default")
