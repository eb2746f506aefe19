"""`cel`: rules of the user's own, in CEL (https://cel.dev), each true for every resource that it is about.

Settings: `rules`, each `{name, rule, message, on, severity}`. `rule` sees `object` and of it `metadata`, `spec` and
`status`, and the texts `stage` and `application`; `on` are globs on `Kind/name` (all resources without);
`severity` is error or warning. What a Secret holds is not shown to rules.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import globs
from undrift.model import delivery, publication
from undrift.providers.kubernetes import expressions
from undrift.publishing.checks import finding, secrets, settings

_PARTS: Final = ("metadata", "spec", "status")
_TEXTS: Final = ("stage", "application")
_SEEN: Final = ("object", *_PARTS, *_TEXTS)
_WRONG: Final = (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError)
_LIBRARY: Final = "common-expression-language"


async def check(work: finding.Work) -> finding.Verdict:
    """The rules on every resource of one stage."""
    taken = settings.Settings(work.validator)
    found: list[finding.Finding] = []
    for given in taken.parts("rules"):
        found += _judged(work, given)
    version = f"{_LIBRARY} {importlib.metadata.version(_LIBRARY)}"
    return finding.Verdict("cel", (*found, *taken.findings()), version)


def _judged(work: finding.Work, given: Mapping[str, Any]) -> Iterator[finding.Finding]:
    part = delivery.Validator("cel rule", given, work.validator.origin)
    taken = settings.Settings(part)
    name, rule, message = taken.take("name", ""), taken.take("rule", ""), taken.take("message", "")
    on, severity = taken.texts("on"), taken.severity("severity", delivery.Severity.ERROR)
    wrong = list(taken.findings())
    if not rule:
        wrong.append(
            _unusable(part, "has no rule", "write rule: an expression that is true when all is well")
        )
    yield from wrong
    if wrong or severity is delivery.Severity.OFF:
        return
    try:
        program = expressions.program(rule, _SEEN)
    except errors.ConfigInvalid as error:
        yield _unusable(part, f"{name or 'a rule'} {error.what}", error.hint)
        return
    for one in work.resources:
        if not on or globs.matches(one.title, on):
            problem = _problem(program, one, work)
            if problem is not None:
                violated = errors.PolicyViolated(
                    f"{one.title} breaks the rule {name or rule}",
                    origin=one.where("spec"),
                    why=problem or message,
                    hint="correct the resource, or waive it",
                )
                yield finding.Finding(violated, severity, one.title, name)


def _problem(program: Any, one: publication.ResourceFile, work: finding.Work) -> str | None:
    """None when the rule is true; else why it could not be answered, "" when it simply is not true."""
    data = secrets.hidden(one.data)
    seen: dict[str, Any] = {"object": data, **{name: data.get(name) or {} for name in _PARTS}}
    texts = (work.stage.name, work.declared.application)
    try:
        answer = program.execute({**seen, **dict(zip(_TEXTS, texts, strict=True))})
    except _WRONG as error:
        return f"the rule cannot be answered for it: {str(error).partition(chr(10))[0]}; ask has(…) first"
    return None if answer is True else ""


def _unusable(part: delivery.Validator, problem: str, hint: str) -> finding.Finding:
    return finding.Finding(
        errors.ConfigInvalid(f"the validator {part.kind}: {problem}", origin=part.origin, hint=hint)
    )
