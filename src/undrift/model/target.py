"""One configured place, what its provider can do, and what rendering may know about it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from undrift import errors


class Marks(enum.StrEnum):
    """Where a provider keeps ownership marks.

    With TARGET one mark stands for all that an application owns in a part of the target (a zone): what that is, is
    remembered, or rendered again at the revision that the mark names.
    """

    RESOURCE = "resource"
    TARGET = "target"
    NONE = "none"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider can do, declared once instead of probed.

    `kind_order` lists kinds in the order they are created (others come after, by name, and `kind_last` after those).
    `atomic` targets take all changes of a plan as one. `native_plan` targets have a tool of their own that says what
    differs. `data_kinds` hold data: only deleted where Git says so. `immutable` maps a kind to the field paths
    (dotted) that cannot be changed in place. `concurrency` is how many changes may run at once. `instant`
    kinds are as they will be when their change returns: what needs them need not wait for their health. With
    `tells_health` its watch tells when something gets well, so that nobody has to wait for it. With
    `partial` only what is declared of a resource is written, and an ignored field is left out; else it is whole.
    `patience` is how many seconds one look or one change may take where that is longer than usual (0: it is not).
    What is declared of a target that `publishes` is told to whoever asks, so that nothing of it can be secret.
    With `accounts` a session may act as somebody else than its credentials say. `yields_to` are globs on writers whose fields are left alone unless they are nobody else's.
    """

    watch: bool = False
    dry_run: bool = False
    atomic: bool = False
    commit_confirm: bool = False
    compare_and_set: bool = False
    native_plan: bool = False
    marks: Marks = Marks.RESOURCE
    kind_order: tuple[str, ...] = ()
    kind_last: tuple[str, ...] = ()
    partial: bool = False
    accounts: bool = False
    yields_to: tuple[str, ...] = ()
    tells_health: bool = False
    data_kinds: frozenset[str] = frozenset()
    immutable: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    concurrency: int = 1
    patience: float = 0.0
    publishes: bool = False
    instant: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A declared target (`kind: Target`): provider kind, the agent that serves it, the provider's settings.

    `account` is as whom a session makes its changes there; "" is as the credentials in the settings say.
    """

    name: str
    provider: str
    agent: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    account: str = ""
    file: str = ""
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What rendering may depend on beside Git: host facts, API lists, outputs of other applications."""

    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    digest: str = ""


NO_FACTS = Facts()
