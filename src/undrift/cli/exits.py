"""Exit codes of the commands that run in CI: each kind of failure has its own, so that a pipeline can tell them apart.

The reference (docs/reference/exit-codes.md) has the same table.
"""

from __future__ import annotations

import enum
from typing import Final

from undrift import errors

COMMANDS: Final = frozenset({"apply", "comment", "init", "preview", "promote", "publish", "render", "update"})
"""The commands that end with these codes; `validate` and `rollback` do where a Delivery is meant."""


class Exit(enum.IntEnum):
    """What an exit code of a command in CI says."""

    DONE = 0
    DEFECT = 1
    CHANGES = 2
    CONFIG = 3
    RENDER = 4
    VALIDATION = 5
    DENIED = 6
    DEADLINE = 7
    FORGE = 8
    SUPERSEDED = 9
    UNDECIDED = 10
    USAGE = 64


_CODES: Final[tuple[tuple[tuple[type[errors.UndriftError], ...], Exit], ...]] = (
    ((errors.UsageInvalid,), Exit.USAGE),
    (
        (
            errors.ResourceTwice,
            errors.RenderError,
            errors.RenderEmpty,
            errors.PathMissing,
            errors.ArtifactRefused,
        ),
        Exit.RENDER,
    ),
    (
        (errors.ConfigError, errors.ReferenceMissing, errors.RollbackImpossible, errors.ContextForbidden),
        Exit.CONFIG,
    ),
    ((errors.ValidationError,), Exit.VALIDATION),
    (
        (
            errors.ForgeDenied,
            errors.BranchProtected,
            errors.SourceDenied,
            errors.HostKeyRefused,
            errors.CredentialMissing,
            errors.TargetDenied,
        ),
        Exit.DENIED,
    ),
    ((errors.PushDeadline, errors.SourceError, errors.TargetUnavailable), Exit.DEADLINE),
    ((errors.Superseded,), Exit.SUPERSEDED),
    (
        (errors.OrderUnknown, errors.HandEdited, errors.BranchTaken, errors.GateClosed, errors.GuardError),
        Exit.UNDECIDED,
    ),
    ((errors.TargetError,), Exit.VALIDATION),
    ((errors.PublishError,), Exit.FORGE),
)
"""From the particular to the general: the first that fits counts."""


def of(error: errors.UndriftError) -> Exit:
    """The exit code for an error; for several the lowest of theirs, as the first thing to mend."""
    return min((_of(part) for part in error.parts), default=Exit.DEFECT)


def _of(error: errors.UndriftError) -> Exit:
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    return Exit.DEFECT
