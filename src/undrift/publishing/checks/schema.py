"""`schema`: whether a Kubernetes of the declared version would know these kinds and fields. No server is asked.

Settings: `strict` (fields that a kind does not have are errors; true), `ignoreMissing` (a kind that nobody knows is a
warning only; true), `crds` (files and folders of the application's repository with CustomResourceDefinitions, beside
those that the stage itself brings), `skip` (globs on `Kind/name` that are not looked at).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import globs, words
from undrift.model import publication
from undrift.providers.kubernetes import kinds, shapes
from undrift.publishing.checks import definitions, finding, settings
from undrift.publishing.schemas import release

_MOST: Final = 50
_SEALED: Final = "ENC["


async def check(work: finding.Work) -> finding.Verdict:
    """Every resource of the stage against the schemas of its Kubernetes."""
    taken = settings.Settings(work.validator)
    checker = Checker(work, taken)
    skip = taken.texts("skip")
    found = list(checker.problems)
    for one in work.resources:
        if not globs.matches(one.title, skip):
            found += checker.check(one)
    return finding.Verdict("schema", (*found, *taken.findings()), f"Kubernetes {checker.release.version}")


class Checker:
    """What one stage's Kubernetes takes."""

    def __init__(self, work: finding.Work, taken: settings.Settings) -> None:
        self.problems: list[finding.Finding] = []
        self._strict = taken.take("strict", True)
        self._ignore_missing = taken.take("ignoreMissing", True)
        self._declared = release.parsed(work.stage.kube_version)
        self.release = release.nearest(work.stage.kube_version)
        self._version = self._declared or release.parsed(self.release.version)
        self._defined = self._definitions(work, taken.texts("crds"))
        self._check_version(work)

    def check(self, one: publication.ResourceFile) -> Iterator[finding.Finding]:
        """What is wrong with one resource."""
        kind = (str(one.data["apiVersion"]), str(one.data["kind"]))
        if kind[1].endswith("List") and "items" in one.data:
            return
        yield from self._aged(one, kind)
        defined = self._defined.get(kind)
        shape = self.release.shape(kind) or (defined.shape if defined else None)
        if shape is None:
            yield from self._unknown(one, kind)
            return
        problems = (
            each
            for each in shapes.check(one.data, shape)
            if (self._strict or not each.unknown) and not _is_sealed(one.data, each)
        )
        for each in itertools.islice(problems, _MOST):
            error = errors.ResourceInvalid(
                f"{one.title}: {each.why}", origin=one.where(*each.path), hint=each.hint
            )
            yield finding.Finding(error, title=one.title)

    def _definitions(
        self, work: finding.Work, paths: tuple[str, ...]
    ) -> Mapping[release.Kind, definitions.Definition]:
        own: list[Mapping[str, Any]] = [one.data for one in work.resources]
        try:
            more = definitions.load(work.folder, paths)
        except errors.ConfigInvalid as error:
            error.origin = work.validator.origin
            self.problems.append(finding.Finding(error))
            more = []
        return definitions.read([*more, *own], self.release.metadata())

    def _check_version(self, work: finding.Work) -> None:
        """A version that cannot be read, or whose schemas we do not have."""
        said = work.stage.kube_version
        if said and not self._declared:
            error = errors.ConfigInvalid(
                f"kubeVersion {said} is no version", origin=work.stage.origin, hint="write it as 1.33"
            )
            self.problems.append(finding.Finding(error))
        elif self._declared and self._declared not in release.known():
            first, last = (release.written(release.known()[place]) for place in (0, -1))
            missing = errors.CheckFailed(
                f"the schemas of Kubernetes {release.written(self._declared)} are not known here",
                origin=work.stage.origin,
                why=f"those of {self.release.version} were used; known are {first} to {last}",
                hint="a newer Undrift may know them",
            )
            self.problems.append(finding.warning(missing))

    def _aged(self, one: publication.ResourceFile, kind: release.Kind) -> Iterator[finding.Finding]:
        """What went, or will go."""
        life = release.lives().get(kind)
        if life is None or kind in self._defined:
            return
        title = f"{kind[1]} {kind[0]}"
        if life.removed and life.removed <= self._version and self.release.shape(kind) is None:
            said = release.written(self._version)
            error = errors.VersionRemoved(
                f"{title} was removed in Kubernetes {release.written(life.removed)} (kubeVersion {said})",
                origin=one.where("apiVersion"),
                hint=self._instead(kind, life),
            )
            yield finding.Finding(error, title=one.title)
        elif life.deprecated and life.deprecated <= self._version and self.release.shape(kind) is not None:
            goes = f" and will go in {release.written(life.removed)}" if life.removed else ""
            error = errors.VersionRemoved(
                f"{title} is deprecated since Kubernetes {release.written(life.deprecated)}{goes}",
                origin=one.where("apiVersion"),
                hint=self._instead(kind, life),
            )
            yield finding.warning(error, one.title)

    def _instead(self, kind: release.Kind, life: release.Life) -> str:
        version, _, name = life.replacement.partition(" ")
        if life.replacement and "/" not in version:
            return f"use {life.replacement} instead"
        if self.release.shape((version, name)) is not None:
            return f"use {version} instead" if name == kind[1] else f"use {name} {version} instead"
        after = self.release.successor(kind)
        return f"use {after[0]} instead" if after else ""

    def _unknown(self, one: publication.ResourceFile, kind: release.Kind) -> Iterator[finding.Finding]:
        """A kind that this Kubernetes does not have, and that nobody defines."""
        life, group = release.lives().get(kind), kinds.group_of(kind[0])
        where = one.where("kind")
        if life and life.removed and life.removed <= self._version:
            return
        if life and life.introduced > self._version:
            error = errors.ResourceInvalid(
                f"{one.title}: {kind[0]} came with Kubernetes {release.written(life.introduced)}"
                f" (kubeVersion {release.written(self._version)})",
                origin=one.where("apiVersion"),
                hint=self._instead(kind, life),
            )
        elif group in self.release.groups:
            after = self.release.successor(kind)
            known = [name for version, name in self.release.of_group(group) if version == kind[0]]
            error = errors.ResourceInvalid(
                f"{one.title}: there is no kind {kind[1]} in {kind[0]}",
                origin=where,
                hint=f"use {after[0]} instead" if after else words.suggestion(kind[1], known),
            )
        else:
            error = errors.ResourceInvalid(
                f"{one.title} was not checked: nobody says what a {kind[1]} of {kind[0]} is",
                origin=where,
                hint="name its CustomResourceDefinition: crds of the validator schema",
            )
            if self._ignore_missing:
                yield finding.warning(error, one.title)
                return
        yield finding.Finding(error, title=one.title)


def _is_sealed(data: Mapping[str, Any], found: shapes.Finding) -> bool:
    """What SOPS put there: its own part of the document, and values that it encrypted."""
    if found.path[:1] == ("sops",):
        return True
    value: Any = data
    for step in found.path:
        if isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return False
    return isinstance(value, str) and value.startswith(_SEALED)
