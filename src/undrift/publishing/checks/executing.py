"""`exec`: any program, as an argument list. It ends with 0 when all is well; what it wrote last is told otherwise.

Settings: `name`, `command`, `on` (`[rendered]`, `[source]` or both), `timeout` (60s), `output` (`text`, or `sarif`: what it
writes to its standard output are findings of its own), `env` (variables with credentials that it may see; others whose
names look like credentials are kept from it). In arguments `{path}` is the folder with the rendered stage (private, gone
afterwards) or the checkout, `{stage}`, `{namespace}`, `{application}` and `{kubeVersion}` are what they say.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import mask, process
from undrift.model import delivery
from undrift.publishing.checks import finding, settings
from undrift.renderers import workspace

_CREDENTIAL: Final = re.compile(
    r"token|passw|passphrase|secret|credential|private|api_?key|access_?key|^undrift_", re.IGNORECASE
)
_RENDERED, _SOURCE = "rendered", "source"
_MOST_LINES, _MOST_SIGNS = 20, 2000
_OUTPUT: Final = 8 << 20
_MOST_RESULTS: Final = 500


async def check(work: finding.Work) -> finding.Verdict:
    """The program on one stage."""
    taken = settings.Settings(work.validator)
    command = taken.texts("command")
    name = taken.take("name", "") or (pathlib.PurePath(command[0]).name if command else "exec")
    timeout, form = taken.seconds("timeout", 60.0), taken.take("output", "text")
    run = _Run(work, name, command, timeout, taken.texts("env"), form == "sarif")
    on = taken.texts("on", (_RENDERED,))
    if not command:
        taken.refuse("has no command", "write command: [program, argument, …]")
    if form not in {"text", "sarif"}:
        taken.refuse(f"output cannot be {form}", "one of: text, sarif")
    if not on or set(on) - {_RENDERED, _SOURCE}:
        taken.refuse(f"on cannot be {', '.join(on) or 'nothing'}", "one of: rendered, source")
    found = list(taken.findings())
    if not found:
        found = [each for place in on for each in await run.on(place)]
    return finding.Verdict(name, tuple(found))


@dataclasses.dataclass(frozen=True, slots=True)
class _Run:
    """One program with its settings; `passed` are variables that it may see, `sarif` says what it writes."""

    work: finding.Work
    name: str
    command: Sequence[str]
    timeout: float
    passed: Sequence[str]
    sarif: bool

    async def on(self, place: str) -> list[finding.Finding]:
        """What it says of the rendered stage, or of the checkout."""
        if place == _SOURCE:
            if self.work.folder is None:
                return [
                    self._failed(f"{self.name} cannot be run", "the application's repository is not at hand")
                ]
            return await self._said(self.work.folder)
        files = {f"{_RENDERED}/{name}": file for name, file in self.work.rendition.files.items()}
        async with workspace.workspace(files) as private:
            (private / _RENDERED).mkdir(exist_ok=True)
            return await self._said(private / _RENDERED)

    async def _said(self, path: pathlib.Path) -> list[finding.Finding]:
        stage = self.work.stage
        known = {
            "path": str(path),
            "stage": stage.name,
            "namespace": stage.namespace,
            "application": self.work.declared.application,
            "kubeVersion": stage.kube_version,
        }
        argv = [_filled(one, known) for one in self.command]
        seen = {
            name: value
            for name, value in os.environ.items()
            if name in self.passed or not _CREDENTIAL.search(name)
        }
        cwd = self.work.folder or path
        try:
            done = await process.run(
                argv, cwd=cwd, env=seen, limits=process.Limits(timeout=self.timeout, output=_OUTPUT)
            )
        except process.ProgramMissing:
            return [self._failed(f"{self.name} cannot be run", f"{argv[0]} is not installed")]
        except process.ProcessError as error:
            return [self._failed(f"{self.name} was ended", error.problem)]
        hide = mask.Mask(os.environ.get(name, "") for name in self.passed)
        found = list(self._results(done.stdout, path)) if self.sarif else []
        stops = any(one.severity is delivery.Severity.ERROR for one in found)
        if done.returncode and not stops:
            told = (done.stderr + b"\n" + (b"" if self.sarif else done.stdout)).decode("utf-8", "replace")
            text = _tail(hide(told).replace(f"{path}/", ""))
            found.append(self._failed(f"{self.name} says no (exit code {done.returncode})", text))
        return found

    def _failed(self, what: str, why: str) -> finding.Finding:
        error = errors.CheckFailed(
            what,
            origin=self.work.validator.origin,
            why=why,
            hint=f"run it in a checkout: {' '.join(self.command)}",
        )
        return finding.Finding(error, rule=self.name)

    def _results(self, written: bytes, path: pathlib.Path) -> Iterator[finding.Finding]:
        """Findings in SARIF 2.1.0, https://docs.oasis-open.org/sarif/sarif/v2.1.0/ ."""
        try:
            report = json.loads(written)
            results = [one for run in report["runs"] for one in run.get("results") or ()]
        except (ValueError, KeyError, TypeError, AttributeError):
            yield self._failed(
                f"{self.name} wrote something else than SARIF", _tail(written.decode("utf-8", "replace"))
            )
            return
        for one in results[:_MOST_RESULTS]:
            level = one.get("level", "warning")
            if level in {"error", "warning"}:
                rule = str(one.get("ruleId") or self.name)
                error = errors.CheckFailed(
                    f"{self.name}: {_at(one, 'message', 'text') or rule}",
                    origin=self._place(one, path),
                    why=f"rule {rule}",
                )
                yield finding.Finding(error, delivery.Severity(level), rule=rule)

    def _place(self, result: Any, path: pathlib.Path) -> errors.Origin | None:
        uri = _at(result, "locations", 0, "physicalLocation", "artifactLocation", "uri")
        if not isinstance(uri, str) or not uri:
            return self.work.validator.origin
        name = uri.removeprefix("file://").removeprefix(f"{path}/")
        region = _at(result, "locations", 0, "physicalLocation", "region")
        numbers = [_at(region, key) for key in ("startLine", "startColumn")]
        line, column = (one if isinstance(one, int) else 0 for one in numbers)
        rendered = name in self.work.rendition.files
        return errors.Origin(self.work.place(name).file if rendered else name, line, column)


def _filled(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), text)


def _tail(text: str) -> str:
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip()]
    return "\n".join(lines[-_MOST_LINES:])[-_MOST_SIGNS:]


def _at(value: Any, *steps: str | int) -> Any:
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
