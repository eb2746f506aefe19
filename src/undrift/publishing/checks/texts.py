"""`yaml`: what a reader of YAML would stumble over, and the user's own `.yamllint` where there is one.

Looked at are the files of the application's repository that the stage comes from (values and kustomizations, too), or
what was rendered where there is no checkout. Settings: `traps` (words without quotes that are read as something else;
warning), `yamllint` (whether a `.yamllint` at the top of the repository is honoured; true).
"""

from __future__ import annotations

import pathlib
import posixpath
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any, Final

import undrift
from undrift import errors
from undrift.lib import process, yaml
from undrift.model import delivery
from undrift.publishing.checks import finding, settings, styling, yamllint

_WARNING, _OFF = delivery.Severity.WARNING, delivery.Severity.OFF
_YAML: Final = (".yaml", ".yml")
_KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_PARSABLE: Final = re.compile(
    r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+): \[(?P<level>\w+)\] (?P<what>.*) \((?P<rule>\S+)\)$"
)
_LIMITS: Final = process.Limits(timeout=60.0, output=8 << 20)
_MOST_REMEMBERED: Final = 1000


async def check(work: finding.Work) -> finding.Verdict:
    """The YAML of one stage."""
    taken = settings.Settings(work.validator)
    traps, honoured = taken.severity("traps", _WARNING), taken.take("yamllint", True)
    files = dict(sorted(_files(work)))
    found = [each for file, text in files.items() for each in _readable(file, text, traps)]
    if honoured and work.folder is not None:
        found += await _styled(work.folder, files)
    return finding.Verdict("yaml", (*found, *taken.findings()), f"undrift {undrift.__version__}")


def _files(work: finding.Work) -> Iterator[tuple[str, bytes]]:
    """Path for people, and content."""
    if work.folder is None:
        for name, file in work.rendition.files.items():
            if name.endswith(_YAML):
                yield str(work.place(name)), file.content
        return
    for name in sorted(_sources(work)):
        path = work.folder / name
        if name.endswith(_YAML) and "templates" not in name.split("/") and path.is_file():
            yield name, path.read_bytes()


def _sources(work: finding.Work) -> set[str]:
    """What in the application's repository a stage may come from."""
    recipe = work.stage.recipe
    origins = {one.origin.file for one in work.rendition.resources}
    folders = {recipe.path, *(posixpath.dirname(one) for one in origins)}
    found = origins | {posixpath.join(folder, name) for folder in folders for name in _KUSTOMIZATIONS}
    found |= {posixpath.join(recipe.path, name) for name in work.rendition.files}
    if recipe.renderer == "helm":
        chart = str(recipe.settings.get("chart") or ".")
        named = [*(recipe.settings.get("valueFiles") or ()), f"{chart}/Chart.yaml", f"{chart}/values.yaml"]
        found |= {posixpath.join(recipe.path, str(name)) for name in named}
    return {posixpath.normpath(one) for one in (*found, work.declared.file) if not one.startswith("/")}


def _readable(file: str, content: bytes, traps: delivery.Severity) -> Iterator[finding.Finding]:
    """Keys that stand twice, and words that surprise; of a Secret nothing is repeated."""
    try:
        documents = yaml.documents(content, file)
    except yaml.YamlError as error:
        unreadable = errors.ResourceInvalid(
            f"{posixpath.basename(file)} cannot be read as YAML",
            origin=errors.Origin(file, error.line, error.column),
            why=error.problem,
            hint="correct it",
        )
        yield finding.Finding(unreadable)
        return
    for one in documents:
        if traps is _OFF or not isinstance(one.data, Mapping) or _is_private(one.data):
            continue
        for trap in one.traps:
            if isinstance(trap.meaning, bool) or not trap.key.lower().endswith("mode"):
                yield finding.Finding(_surprise(trap, file), traps, rule="traps")


def _is_private(data: Mapping[str, Any]) -> bool:
    """Secrets, what SOPS encrypted, and a Delivery, whose own reader knows what it means."""
    return data.get("kind") in {"Secret", "Delivery"} or "sops" in data


def _surprise(trap: yaml.Trap, file: str) -> errors.ScalarSurprising:
    """In the words of the renderer for plain manifests, so that both are one."""
    meaning = str(trap.meaning).lower()
    return errors.ScalarSurprising(
        f"{trap.text} without quotes means {meaning}",
        origin=errors.Origin(file, trap.line, trap.column),
        why="kubectl and Helm read it so, too",
        hint=f'write "{trap.text}", or {meaning} where that is meant',
    )


async def _styled(folder: pathlib.Path, files: Mapping[str, bytes]) -> list[finding.Finding]:
    """What the user's `.yamllint` says; nothing where there is none."""
    path = yamllint.find(folder)
    if path is None:
        return []
    try:
        config = yamllint.read(path)
    except errors.ConfigInvalid as error:
        return [finding.Finding(error)]
    covered = [name for name in files if config.covers(name)]
    found: list[finding.Finding] = []
    for name in covered:
        rules = config.rules_for(name)
        for one in _linted(files[name], repr(sorted(rules.items())), rules):
            level = rules[one.rule].get("level", "error")
            found.append(_problem(one.what, one.rule, errors.Origin(name, one.line, one.column), level))
    if config.unknown and covered:
        found += await _by_program(folder, config, covered)
    return found


_memory: dict[tuple[bytes, str], list[styling.Found]] = {}
"""What was found in a file by some rules: stages often come from the same files."""


def _linted(content: bytes, spelled: str, rules: Mapping[str, Mapping[str, Any]]) -> list[styling.Found]:
    key = (content, spelled)
    if len(_memory) > _MOST_REMEMBERED:
        _memory.clear()
    if key not in _memory:
        _memory[key] = styling.lint(content.decode("utf-8-sig", "replace"), rules)
    return _memory[key]


def _problem(what: str, rule: str, origin: errors.Origin, level: object) -> finding.Finding:
    severity = _WARNING if level == "warning" else delivery.Severity.ERROR
    error = errors.CheckFailed(
        f"{what} ({rule})", origin=origin, hint="correct it, or switch the rule off in .yamllint"
    )
    return finding.Finding(error, severity, rule=rule)


async def _by_program(
    folder: pathlib.Path, config: yamllint.Config, names: list[str]
) -> list[finding.Finding]:
    """Rules that only yamllint itself knows."""
    program = shutil.which("yamllint")
    if program is None:
        return [_not_run(config, "yamllint is not installed")]
    command = [program, "-f", "parsable", "-c", config.file, "--", *names]
    try:
        done = await process.run(command, cwd=folder, limits=_LIMITS)
    except process.ProcessError as error:
        return [_not_run(config, str(error))]
    found = []
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        one = _PARSABLE.fullmatch(line)
        if one and one["rule"] in config.unknown:
            place = errors.Origin(one["file"], int(one["line"]), int(one["column"]))
            found.append(_problem(one["what"], one["rule"], place, one["level"]))
    return found


def _not_run(config: yamllint.Config, why: str) -> finding.Finding:
    error = errors.CheckFailed(
        f"rules of {config.file} were not checked: {', '.join(config.unknown)}",
        origin=errors.Origin(config.file),
        why=why,
        hint="install yamllint, which Undrift runs for these",
    )
    return finding.warning(error)
