"""`rego`: policies in Open Policy Agent's language, a folder of `.rego` files of the application's repository.

The rules `deny` and `violation` are errors, `warn` warnings, with `_name` behind or without; each holds texts, or
mappings with `msg`, as Conftest and Gatekeeper have it. A rule sees the resource as `input`, and `data.undrift` with
`stage`, `namespace` and `application`. Settings: `path` (the folder), `packages` (`[main]`). What a Secret holds is
not shown to rules.

The engine is Microsoft's regorus, the module `regorus` of the extra `undrift[rego]`. Microsoft publishes no wheel of
it; the extra takes one that others build. (regopy, which it does publish, takes `deny[msg] { … }` for a mapping and
ends the whole process where a package is not there.)
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import delivery, publication
from undrift.publishing.checks import finding, secrets, settings

_WHEEL: Final = "gordon-to-regorus"
_RULE: Final = re.compile(r"(?P<kind>deny|violation|warn)(?:_[A-Za-z0-9_]+)?")
_PACKAGE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_PLACE: Final = re.compile(r"-->\s*(?P<file>.+?):(?P<line>\d+):(?P<column>\d+)")


async def check(work: finding.Work) -> finding.Verdict:
    """The policies on every resource of one stage."""
    taken = settings.Settings(work.validator)
    path, packages = taken.take("path", "policy"), taken.texts("packages", ("main",))
    for name in packages:
        if not _PACKAGE.fullmatch(name):
            taken.refuse(f"packages: {name} is no package", "write it as main or kubernetes.admission")
    wrong = list(taken.findings())
    if wrong:
        return finding.Verdict("rego", tuple(wrong))
    try:
        policies = _Policies(work, path)
    except errors.UndriftError as error:
        return finding.Verdict("rego", tuple(finding.Finding(one) for one in error.parts))
    found = [each for one in work.resources for name in packages for each in policies.judge(one, name)]
    return finding.Verdict("rego", tuple(found), f"regorus {importlib.metadata.version(_WHEEL)}")


class _Policies:
    """The files of a folder, ready to be asked."""

    def __init__(self, work: finding.Work, path: str) -> None:
        """Raises `CheckFailed`, `ConfigInvalid`."""
        self._module = _engine(work)
        self._origin = work.validator.origin
        root = work.folder / path if work.folder is not None else None
        files = sorted(root.rglob("*.rego")) if root is not None else []
        files = [one for one in files if not one.name.endswith("_test.rego")]
        if root is None or work.folder is None or not files:
            raise errors.ConfigInvalid(
                f"the validator rego: {path} holds no policies",
                origin=self._origin,
                hint="write path: a folder of the application's repository with .rego files",
            )
        self._asked = self._module.Engine()
        for file in files:
            self._add(str(file.relative_to(work.folder)), file.read_text("utf-8", "replace"))
        about = {"stage": work.stage.name, "namespace": work.stage.namespace}
        about["application"] = work.declared.application
        self._asked.add_data_json(json.dumps({"undrift": about}))

    def judge(self, one: publication.ResourceFile, package: str) -> Iterator[finding.Finding]:
        """What the rules of a package say of a resource."""
        self._asked.set_input_json(json.dumps(secrets.hidden(one.data), default=str))
        try:
            answer = json.loads(self._asked.eval_query_as_json(f"data.{package}"))
        except (RuntimeError, ValueError) as error:
            yield finding.Finding(self._failed(f"the package {package} cannot be asked", str(error)))
            return
        for result in answer.get("result") or ():
            value = result["expressions"][0]["value"]
            for rule, messages in value.items() if isinstance(value, Mapping) else ():
                kind = _RULE.fullmatch(rule)
                if kind:
                    yield from _told(one, f"{package}.{rule}", messages, warns=kind["kind"] == "warn")

    def _add(self, name: str, text: str) -> None:
        """A file in today's language, or in that before OPA 1.0."""
        problem = ""
        for old in (False, True):
            tried = self._module.Engine()
            tried.set_rego_v0(old)
            try:
                tried.add_policy(name, text)
            except RuntimeError as error:
                problem = problem or str(error)
                continue
            self._asked.set_rego_v0(old)
            self._asked.add_policy(name, text)
            return
        raise self._failed(f"the policy {name} cannot be read", problem)

    def _failed(self, what: str, said: str) -> errors.CheckFailed:
        """Without the stack of the engine's own code."""
        text = said.partition("\n\nStack backtrace")[0].strip()
        place = _PLACE.search(text)
        origin = (
            errors.Origin(place["file"], int(place["line"]), int(place["column"])) if place else self._origin
        )
        reason = text.rpartition("error: ")[2].strip() or text
        return errors.CheckFailed(what, origin=origin, why=reason, hint="correct the policy")


def _told(
    one: publication.ResourceFile, rule: str, messages: Any, *, warns: bool
) -> Iterator[finding.Finding]:
    """A finding for each message; a rule that is only true or false has none of its own."""
    listed = messages if isinstance(messages, list) else [""] if messages is True else []
    if isinstance(messages, str):
        listed = [messages]
    for message in listed:
        text = message.get("msg") if isinstance(message, Mapping) else message
        error = errors.PolicyViolated(
            f"{one.title} breaks the rule {rule}",
            origin=one.where(),
            why=str(text or ""),
            hint="correct the resource, or waive it",
        )
        severity = delivery.Severity.WARNING if warns else delivery.Severity.ERROR
        yield finding.Finding(error, severity, one.title, rule)


def _engine(work: finding.Work) -> Any:
    try:
        import regorus  # noqa: PLC0415 - an extra, and only for those who have such policies
    except ImportError:
        raise errors.CheckFailed(
            "the validator rego cannot be run",
            origin=work.validator.origin,
            why="no engine for Rego is installed",
            hint="install undrift[rego], or run conftest with the validator exec",
        ) from None
    return regorus
