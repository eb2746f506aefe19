"""A process that keeps targets true, as it is declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from undrift import errors


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
