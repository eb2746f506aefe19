"""Exit codes: every kind of error has one that says what to do, and none looks like a defect."""

from __future__ import annotations

import pytest

from undrift import errors
from undrift.cli import exits


def made(kind: type[errors.UndriftError]) -> errors.UndriftError:
    return kind("x")


@pytest.mark.parametrize(
    "kind, code",
    [
        (errors.UsageInvalid, 64),
        (errors.ConfigInvalid, 3),
        (errors.DeliveryMissing, 3),
        (errors.StageMissing, 3),
        (errors.VariableMissing, 3),
        (errors.ForgeUnknown, 3),
        (errors.ReferenceMissing, 3),
        (errors.RollbackImpossible, 3),
        (errors.ContextForbidden, 3),
        (errors.RenderFailed, 4),
        (errors.ContainerUnknown, 4),
        (errors.ValueUnknown, 4),
        (errors.ToolMissing, 4),
        (errors.RenderUnrepeatable, 4),
        (errors.ResourceTwice, 4),
        (errors.ArtifactRefused, 4),
        (errors.PathMissing, 4),
        (errors.ResourceInvalid, 5),
        (errors.SecretInPlain, 5),
        (errors.ImageMutable, 5),
        (errors.VersionRemoved, 5),
        (errors.WaiverExpired, 5),
        (errors.ForgeDenied, 6),
        (errors.BranchProtected, 6),
        (errors.SourceDenied, 6),
        (errors.HostKeyRefused, 6),
        (errors.CredentialMissing, 6),
        (errors.PushDeadline, 7),
        (errors.SourceUnavailable, 7),
        (errors.ForgeUnavailable, 8),
        (errors.ForgeRefused, 8),
        (errors.Superseded, 9),
        (errors.OrderUnknown, 10),
        (errors.HandEdited, 10),
        (errors.BranchTaken, 10),
        (errors.GateClosed, 10),
        (errors.InternalError, 1),
    ],
)
def test_an_error_has_its_exit_code(kind: type[errors.UndriftError], code: int) -> None:
    assert exits.of(made(kind)) == code


def test_only_a_defect_looks_like_one() -> None:
    """What is about configuration, sources, rendering, validating, publishing or a cluster never ends with 1."""
    families = (
        errors.ConfigError,
        errors.SourceError,
        errors.RenderError,
        errors.ValidationError,
        errors.PublishError,
        errors.TargetError,
        errors.GuardError,
    )
    defects = [
        kind.__name__
        for kind in errors.kinds().values()
        if issubclass(kind, families) and exits.of(made(kind)) is exits.Exit.DEFECT
    ]

    assert not defects


def test_several_errors_have_the_code_of_what_is_to_be_mended_first() -> None:
    found = errors.gather([made(errors.HandEdited), made(errors.SecretInPlain), made(errors.ForgeDenied)])

    assert exits.of(found) is exits.Exit.VALIDATION
