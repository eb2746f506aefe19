"""A process that keeps targets true, as it is declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from undrift import errors
from undrift.model import source


@dataclasses.dataclass(frozen=True, slots=True)
class Reporting:
    """Where an agent tells CI how applications do: on a ref of its own in the repository of the source `name`.

    `authentication` is for writing (None: that of the source); `interval` is how much lies between two writes,
    `heartbeat` after how long the agent speaks though nothing changed (seconds). With `statuses` commits get statuses,
    too; `forge` is the kind of forge ("": told by the URL), `api` its address where that is not the URL's host.
    """

    name: str
    authentication: source.Authentication | None = None
    interval: float = 10.0
    heartbeat: float = 600.0
    statuses: bool = False
    forge: str = ""
    api: str = ""
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Reviewing:
    """Where an agent says in open pull requests what it would do: in the repository of the source `name`.

    `authentication` is for the forge's API (None: that of the source); `interval` is how often the forge is asked,
    `refresh` how old a plan gets though nothing was pushed (seconds); `forge` and `api` are as in `Reporting`.
    """

    name: str
    authentication: source.Authentication | None = None
    interval: float = 15.0
    refresh: float = 300.0
    forge: str = ""
    api: str = ""
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Agent:
    """A declared agent (`kind: Agent`). `name` is its identity: ownership marks bear it.

    `interval` is how often the config repository is asked for a new commit, `retention` how long history is
    kept (both seconds), `workers` how many applications are reconciled at once.
    """

    name: str
    interval: float = 30.0
    workers: int = 8
    retention: float = 90 * 86400.0
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)
    reports: tuple[Reporting, ...] = ()
    reviews: tuple[Reviewing, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An agent that is to run on a target: what it is called there, and what it is started with.

    `name` is that of its own resources, `agent` that of its `kind: Agent`; `storage` is a quantity ("1Gi").
    """

    image: str
    repository: str
    branch: str = ""
    path: str = ""
    agent: str = ""
    name: str = "undrift"
    namespace: str = "undrift"
    storage: str = "1Gi"
