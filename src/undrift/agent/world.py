"""What the parts of an agent share: built once by the composition root, handed to each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from undrift import interfaces, plugins
from undrift.agent import audit, claiming, polling, queue, recorder, sessions, tenant
from undrift.config import configuration, settings
from undrift.db import database
from undrift.engine import rendering
from undrift.model import record
from undrift.sources import opening

SCOPE = "scope:"
"""How the name of a lease on a conflict scope begins. No application is named like that."""


def _nobody(_: tenant.Tenant, __: record.Reconciliation) -> None:
    """Nobody wants to hear of reconciles."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Shared:
    """Collaborators that live as long as the process, and the state that grows from configuration.

    `holder` names this process among those that share the database; `key` fingerprints secrets. `agent` is
    the declared name, "" until the configuration was read. `takers` maps an application to those that say
    `takesFrom` of it; `waiting` names those that can go on once another has done something;
    `alone` tells that no other agent shares the database now; `proposed` has by application the digests of plans that
    open pull requests show. `heard` is told of every reconcile that was settled.
    """

    settings: settings.Settings
    database: database.SqlDatabase
    registry: plugins.Registry
    sources: opening.SourcePool
    secrets: interfaces.SecretResolver
    clock: interfaces.Clock
    queue: queue.Queue
    recorder: recorder.Recorder
    audit: audit.Audit
    holder: str
    key: bytes
    version: str
    started: float
    agent: str = ""
    alone: bool = True
    configuration: configuration.Configuration | None = None
    takers: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    waiting: set[str] = dataclasses.field(default_factory=set)
    tenants: dict[str, tenant.Tenant] = dataclasses.field(default_factory=dict)
    places: dict[str, sessions.Place] = dataclasses.field(default_factory=dict)
    polls: dict[str, polling.Poll] = dataclasses.field(default_factory=dict)
    claims: claiming.Register = dataclasses.field(default_factory=claiming.Register)
    cache: rendering.Cache = dataclasses.field(default_factory=dict)
    known: rendering.Known = dataclasses.field(default_factory=dict)
    proposed: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    heard: Callable[[tenant.Tenant, record.Reconciliation], None] = _nobody
