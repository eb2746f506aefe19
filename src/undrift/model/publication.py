"""What is published: a stage rendered to an exact tree, where it came from, and what became of it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from undrift import errors
from undrift.model import delivery, source

if TYPE_CHECKING:
    from undrift.model import forge

PROVENANCE = "hydrator.metadata"
"""The file beside the published ones that says where they come from; agents and other tools take it for no manifest."""


@dataclasses.dataclass(frozen=True, slots=True)
class AppRevision:
    """A commit of an application's repository. `time` is when it was committed, seconds since the epoch.

    `repository` is its address for people, `references` are the issues that its message names, `sequence` a number
    that grows from build to build (0: none is known).
    """

    sha: str
    repository: str = ""
    author: str = ""
    time: float = 0.0
    subject: str = ""
    message: str = dataclasses.field(default="", repr=False)
    references: tuple[str, ...] = ()
    branch: str = ""
    sequence: int = 0

    @property
    def short(self) -> str:
        """The first eight digits."""
        return self.sha[:8]


@dataclasses.dataclass(frozen=True, slots=True)
class Rollback:
    """That a person took a stage back: from which revision, who and why; it stays so until one resumes it."""

    of: str
    by: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Provenance:
    """What a published folder says of itself. `tree` is Git's id of what we wrote, without `keep` and this file.

    `variables`, `images` and `values` are what CI brought, so that the same can be rendered for another stage.
    """

    application: str
    stage: str
    revision: AppRevision
    tree: str
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    images: Mapping[str, str] = dataclasses.field(default_factory=dict)
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rollback: Rollback | None = None
    hotfix: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceFile:
    """A rendered resource: its data, the published file it is in, and where it was declared in the source."""

    data: Mapping[str, Any] = dataclasses.field(repr=False)
    file: str
    origin: errors.Origin
    positions: Mapping[tuple[str | int, ...], tuple[int, int]] = dataclasses.field(
        default_factory=dict, repr=False
    )
    encrypted: bool = False

    def where(self, *steps: str | int) -> errors.Origin:
        """Where a field was declared, as near as is known."""
        for length in range(len(steps), -1, -1):
            place = self.positions.get(tuple(steps[:length]))
            if place is not None:
                return errors.Origin(self.origin.file, *place)
        return self.origin

    @property
    def title(self) -> str:
        """`Kind/name` for people and for globs."""
        metadata = self.data.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
        return f"{self.data.get('kind', '')}/{name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Rendition:
    """A stage rendered: its exact files (relative to its folder), and the resources in them.

    `files` does not hold `PROVENANCE`. `tools` maps what took part to its version.
    """

    stage: delivery.Stage
    files: Mapping[str, source.File] = dataclasses.field(repr=False)
    resources: tuple[ResourceFile, ...] = ()
    tools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    warnings: tuple[errors.UndriftError, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One validator's word on one stage."""

    name: str
    stage: str
    version: str = ""
    passed: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Waived:
    """A finding that somebody answers for."""

    error: errors.UndriftError
    owner: str
    until: str


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What validating found, all stages at once."""

    failed: tuple[errors.UndriftError, ...] = ()
    warnings: tuple[errors.UndriftError, ...] = ()
    waived: tuple[Waived, ...] = ()
    checks: tuple[Check, ...] = ()


class Outcome(enum.StrEnum):
    """What became of a stage."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    WAITING = "waiting"
    HELD = "held"


@dataclasses.dataclass(frozen=True, slots=True)
class StageResult:
    """What became of a stage. `before` is what is on the main branch, `proposed` whether a pull request has ours.

    `commit` is the one in the GitOps repository (of a pull request: at its head); `tree` is Git's id of the folder.
    `edited` are files that somebody changed by hand, with commit and author.
    """

    stage: str
    outcome: Outcome
    way: delivery.Way
    commit: str = ""
    tree: str = ""
    before: Provenance | None = None
    pull_request: forge.PullRequest | None = None
    reason: str = ""
    edited: tuple[str, ...] = ()
    attempts: int = 1
