"""Checking every stage before anything is pushed: all findings of all stages at once.

A finding names its stage unless it is about all of them; what is found in several stages is told once. Whatever a
Secret holds is masked in every text, so no report can repeat it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import importlib
import pathlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from undrift import errors
from undrift.lib import mask
from undrift.model import delivery, publication
from undrift.publishing import waiving
from undrift.publishing.checks import finding, secrets

CHECKS: Final[Mapping[str, str]] = {
    "yaml": "texts",
    "schema": "schema",
    "helm": "linting",
    "policy": "policies",
    "cel": "expressing",
    "rego": "rego",
    "zones": "zones",
    "exec": "executing",
}
"""Each kind of validator, by its name in a Delivery: the module in `checks` whose `check` it is. One is imported when
it is asked for.
"""


async def validate(
    declared: delivery.Delivery,
    renditions: Sequence[publication.Rendition],
    *,
    today: datetime.date,
    folder: pathlib.Path | None = None,
) -> publication.Findings:
    """What the validators of a delivery find in its rendered stages.

    `today` is for the dates of waivers, `folder` a checkout of the application's repository (for its `.yamllint`, and
    for files that validators name). What is found is never raised: `errors.gather(found.failed)` is for the caller.
    """
    gathered = _Gathered(declared, waiving.Waiving(declared.waivers, today))
    works = [
        finding.Work(declared, rendition, validator, folder)
        for rendition in renditions
        for validator in declared.validators
    ]
    for rendition in renditions:
        for error in rendition.warnings:
            gathered.add(rendition.stage.name, finding.warning(error))
    for work, verdict in zip(works, await asyncio.gather(*map(_checked, works)), strict=True):
        gathered.answer(work.stage.name, verdict)
    return gathered.findings(
        complete=len(renditions) == len(declared.stages), hide=_mask(declared, renditions)
    )


async def _checked(work: finding.Work) -> finding.Verdict:
    if work.validator.kind not in CHECKS:
        known = errors.ConfigInvalid(
            f"there is no validator {work.validator.kind}",
            origin=work.validator.origin,
            hint=f"one of: {', '.join(CHECKS)}",
        )
        return finding.Verdict(work.validator.kind, (finding.Finding(known),))
    return await check_of(work.validator.kind)(work)


def check_of(kind: str) -> Callable[[finding.Work], Awaitable[finding.Verdict]]:
    """What checks, for a kind of validator that there is."""
    found: Callable[[finding.Work], Awaitable[finding.Verdict]]
    found = importlib.import_module(f"undrift.publishing.checks.{CHECKS[kind]}").check
    return found


@dataclasses.dataclass(slots=True)
class _Told:
    """A finding, and the stages that it was found in."""

    found: finding.Finding
    stages: list[str]


class _Gathered:
    """Findings of all stages; equal ones are one."""

    def __init__(self, declared: delivery.Delivery, waivers: waiving.Waiving) -> None:
        self._declared = declared
        self._waivers = waivers
        self._told: dict[tuple[object, ...], _Told] = {}
        self._checks: list[publication.Check] = []

    def answer(self, stage: str, verdict: finding.Verdict) -> None:
        """What one check said of one stage."""
        passed = True
        for found in verdict.findings:
            self.add(stage, found)
            passed &= found.severity is not delivery.Severity.ERROR or bool(self._waivers.waiver_for(found))
        self._checks.append(publication.Check(verdict.name, stage, verdict.version, passed))

    def add(self, stage: str, found: finding.Finding) -> None:
        """One finding; what stands for several errors is each of them."""
        for error in found.error.parts:
            key = (error.code, error.what, error.origin, error.why, found.severity, found.title)
            told = self._told.setdefault(key, _Told(dataclasses.replace(found, error=error), []))
            if stage not in told.stages:
                told.stages.append(stage)

    def findings(self, *, complete: bool, hide: mask.Mask) -> publication.Findings:
        """All of it, in the order of files and lines. `complete` when every stage was looked at."""
        failed: list[errors.UndriftError] = list(self._waivers.expired())
        warnings: list[errors.UndriftError] = []
        waived: list[publication.Waived] = []
        for told in self._told.values():
            waiver = self._waivers.waiver_for(told.found)
            shown = dataclasses.replace(told.found, error=_masked(self._named(told), hide))
            if waiver is not None:
                waived.append(self._waivers.waived(shown, waiver))
            elif told.found.severity is delivery.Severity.ERROR:
                failed.append(shown.error)
            elif told.found.severity is delivery.Severity.WARNING:
                warnings.append(shown.error)
        if complete:
            warnings += self._waivers.unused()
        waived.sort(key=lambda one: _order(one.error))
        return publication.Findings(
            tuple(sorted(failed, key=_order)),
            tuple(sorted(warnings, key=_order)),
            tuple(waived),
            tuple(self._checks),
        )

    def _named(self, told: _Told) -> errors.UndriftError:
        """The error, saying in which stages it was found unless that is all of them."""
        error = told.found.error
        if {one.name for one in self._declared.stages} <= set(told.stages):
            return _again(error, error.what)
        several = "stages" if len(told.stages) > 1 else "stage"
        return _again(error, f"{error.what} in {several} {', '.join(told.stages)}")


def _again(error: errors.UndriftError, what: str) -> errors.UndriftError:
    made = type(error)(what, origin=error.origin, why=error.why, hint=error.hint)
    return made.at(error.revision, error.author)


def _masked(error: errors.UndriftError, hide: mask.Mask) -> errors.UndriftError:
    error.what, error.why, error.hint = hide(error.what), hide(error.why), hide(error.hint)
    error.args = (error.what,)
    return error


def _mask(declared: delivery.Delivery, renditions: Sequence[publication.Rendition]) -> mask.Mask:
    """Hides every value of every Secret that was rendered, but for names that everybody may read anyway: a user who
    is called like the application would take its name out of every line.
    """
    resources = [one for rendition in renditions for one in rendition.resources]
    public = {declared.application, *(text for one in declared.stages for text in (one.name, one.namespace))}
    public |= {part for one in resources for part in one.title.split("/", 1)}
    return mask.Mask({text for one in resources for text in secrets.of(one.data)} - public)


def _order(error: errors.UndriftError) -> tuple[object, ...]:
    return (error.origin or errors.Origin(""), error.code, error.what)
