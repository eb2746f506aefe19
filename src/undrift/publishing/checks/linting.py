"""`helm`: what `helm lint` says of a chart of the application's repository, with the stage's values.

Charts of chart repositories are somebody else's and not linted. Settings: `strict` (warnings are errors; false).
Errors of templates and of values.schema.json come from rendering already, so what is found here is seldom news.
"""

from __future__ import annotations

import pathlib
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import process, yaml
from undrift.model import delivery
from undrift.publishing.checks import finding, settings
from undrift.renderers import workspace

_LINE: Final = re.compile(
    r"^\[(?P<level>ERROR|WARNING|INFO)\] (?P<file>[^:\n]*): (?P<what>(?:.|\n(?![\[=]|Error: ))*)",
    re.MULTILINE,
)
_AT: Final = re.compile(r"(?P<file>templates/[\w./-]+):(?P<line>\d+)(?::(?P<column>\d+))?")
_LIMITS: Final = process.Limits(timeout=120.0, output=8 << 20)


async def check(work: finding.Work) -> finding.Verdict:
    """The chart of one stage."""
    taken = settings.Settings(work.validator)
    strict = taken.take("strict", False)
    recipe = work.stage.recipe
    found: list[finding.Finding] = []
    if recipe.renderer == "helm" and not recipe.settings.get("repository"):
        found = await _linted(work, strict=strict)
    version = work.rendition.tools.get("helm", "")
    return finding.Verdict("helm", (*found, *taken.findings()), version)


async def _linted(work: finding.Work, *, strict: bool) -> list[finding.Finding]:
    recipe = work.stage.recipe
    chart = posixpath.normpath(posixpath.join(recipe.path, str(recipe.settings.get("chart") or ".")))
    if work.folder is None or not (work.folder / chart / "Chart.yaml").is_file():
        return [_not_run(work, chart, "the application's repository is not at hand")]
    names = [posixpath.join(recipe.path, str(name)) for name in recipe.settings.get("valueFiles") or ()]
    if any(_is_encrypted(work.folder / name) for name in names):
        return [_not_run(work, chart, "its values are encrypted")]
    try:
        tool = workspace.find("helm")
        with tempfile.TemporaryDirectory(prefix="undrift-lint-") as private:
            inline = pathlib.Path(private) / "values.yaml"
            inline.write_text(yaml.dump(dict(recipe.settings.get("values") or {})), "utf-8")
            command = [tool, "lint", chart, "--namespace", work.stage.namespace or "default"]
            command += ["--kube-version", work.stage.kube_version] if work.stage.kube_version else []
            for name in [*names, str(inline)]:
                command += ["--values", name]
            own = {**workspace.environment(pathlib.Path(private), remote=False)}
            done = await process.run(command, cwd=work.folder, env=own, limits=_LIMITS)
    except (errors.UndriftError, process.ProcessError) as error:
        return [_not_run(work, chart, str(error))]
    said = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
    return list(_findings(chart, said, strict=strict))


def _findings(chart: str, said: str, *, strict: bool) -> Iterator[finding.Finding]:
    seen: set[str] = set()
    for one in _LINE.finditer(said):
        what = " ".join(one["what"].split())
        if one["level"] == "INFO" or what in seen:
            continue
        seen.add(what)
        place = _AT.search(what)
        file = place["file"] if place else one["file"].strip().strip("/")
        origin = errors.Origin(
            posixpath.normpath(posixpath.join(chart, file)),
            int(place["line"]) if place else 0,
            int(place["column"] or 0) if place else 0,
        )
        error = errors.CheckFailed(
            f"helm lint: {what}", origin=origin, hint=f"run helm lint {chart} with the values of the stage"
        )
        soft = one["level"] == "WARNING" and not strict
        yield finding.Finding(error, delivery.Severity.WARNING if soft else delivery.Severity.ERROR)


def _not_run(work: finding.Work, chart: str, why: str) -> finding.Finding:
    error = errors.CheckFailed(
        f"helm lint was not run for {chart}",
        origin=work.validator.origin or work.stage.origin,
        why=why,
        hint="remove the validator helm where it cannot be run",
    )
    return finding.warning(error)


def _is_encrypted(path: pathlib.Path) -> bool:
    try:
        documents = yaml.documents(path.read_bytes())
    except (OSError, yaml.YamlError):
        return False
    found: list[Any] = [one.data for one in documents]
    return any(isinstance(one, Mapping) and "sops" in one for one in found)
