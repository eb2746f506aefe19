"""What one reconcile is given: its subject, and the collaborators that it works with."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection

from undrift import interfaces
from undrift.engine import rendering
from undrift.model import application, record, resource, target, view

Exclusive = Callable[[Collection[resource.ResourceId]], contextlib.AbstractAsyncContextManager[None]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is reconciled. `config_digest` names the application's documents in Git.

    `retry` is a person's order to try a held-back revision once more; `dry` stops before anything is written.
    `changed` is when something was changed last and not waited for, by the wall clock (0: never).
    """

    application: application.Application
    config_digest: str
    memory: record.Memory
    surroundings: view.Surroundings
    retry: bool = False
    dry: bool = False
    changed: float = 0.0


def alone(_: Collection[resource.ResourceId]) -> contextlib.AbstractAsyncContextManager[None]:
    """For those who share their target with nobody."""
    return contextlib.nullcontext()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The collaborators of one reconcile, long-lived and made by the composition root.

    `key` fingerprints secrets; `version` is Undrift's own; the timeouts are seconds for one look. `exclusive`
    keeps everybody else off the conflict scopes of some resources for the time of a block.
    """

    agent: str
    source: interfaces.Source
    renderer: interfaces.Renderer
    provider: interfaces.Provider
    target: target.Target
    session: interfaces.Session
    database: interfaces.Database
    lease: interfaces.Lease
    cache: rendering.Cache
    key: bytes
    version: str
    known: rendering.Known = dataclasses.field(default_factory=dict)
    observe_timeout: float = 120.0
    prepare_timeout: float = 300.0
    exclusive: Exclusive = alone
