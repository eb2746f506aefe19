"""What a check is given, and what it answers."""

from __future__ import annotations

import dataclasses
import pathlib

from undrift import errors
from undrift.model import delivery, publication


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """One validator on one stage. `folder` is a checkout of the application's repository, where there is one."""

    declared: delivery.Delivery
    rendition: publication.Rendition
    validator: delivery.Validator
    folder: pathlib.Path | None = None

    @property
    def stage(self) -> delivery.Stage:
        """The stage that was rendered."""
        return self.rendition.stage

    @property
    def resources(self) -> tuple[publication.ResourceFile, ...]:
        """The resources that are meant for Kubernetes."""
        return tuple(one for one in self.rendition.resources if is_kubernetes(one))

    def place(self, file: str) -> errors.Origin:
        """Where a rendered file comes from: the file of the application's repository, or else the published one."""
        beside = pathlib.PurePosixPath(self.stage.recipe.path) / file
        if self.folder is not None and (self.folder / beside).is_file():
            return errors.Origin(str(beside))
        known = {one.origin.file for one in self.rendition.resources if one.file == file}
        return errors.Origin(known.pop() if len(known) == 1 else f"{self.stage.folder}/{file}".lstrip("/"))


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `title` is the resource as `Kind/name`; `rule` a name beside the error's code."""

    error: errors.UndriftError
    severity: delivery.Severity = delivery.Severity.ERROR
    title: str = ""
    rule: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found, and who looked: `version` is that of its rules or its program, "" when it has none."""

    name: str
    findings: tuple[Finding, ...] = ()
    version: str = ""


def is_kubernetes(one: publication.ResourceFile) -> bool:
    """Whether a resource is one of Kubernetes, and not of another layer or a document for the agent."""
    version = one.data.get("apiVersion")
    return (
        isinstance(version, str)
        and isinstance(one.data.get("kind"), str)
        and not version.startswith("undrift.dev/")
    )


def warning(error: errors.UndriftError, title: str = "", rule: str = "") -> Finding:
    """A finding that stops nothing."""
    return Finding(error, delivery.Severity.WARNING, title, rule)
