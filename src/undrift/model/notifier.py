"""What sends a message when something happens, as it is declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from undrift import errors
from undrift.model import source


@dataclasses.dataclass(frozen=True, slots=True)
class Notifier:
    """A declared notifier (`kind: Notifier`).

    `url` says where the address is found (it holds a key as a rule). `events` are names of event classes,
    `applications` globs on names; `*` is all.
    """

    name: str
    kind: str
    url: source.Credential
    events: tuple[str, ...] = ("*",)
    applications: tuple[str, ...] = ("*",)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)
