"""Helm: the real tool's `helm template`, with what the live cluster serves; no release is kept in the cluster.

The chart is in the application's own source, or comes from a chart repository (HTTP or OCI) at an exact version,
kept by this process. Hooks become waves, those of deletions farewells; tests are left out. Dependencies that are not in `charts/` are fetched
only where `remote: true` allows it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import pathlib
import posixpath
import re
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final

import undrift
from undrift import errors, interfaces
from undrift.lib import canonical, words, yaml
from undrift.model import elsewhere, source, target
from undrift.renderers import kustomize, opening, substituting, tracing, workspace

_SETTINGS: Final = (
    "chart", "repository", "version", "releaseName", "values", "valueFiles", "set", "includeCrds", "apiVersions",
    "kubeVersion", "postRender", "remote", substituting.SETTING,
)  # fmt: skip
_EXACT: Final = re.compile(r"v?\d+\.\d+\.\d+[0-9A-Za-z.+-]*\Z")
_SPLIT: Final = re.compile(r"(?m)^---[ \t]*$\n?")
_SOURCE: Final = re.compile(r"(?m)^# Source: (?P<path>\S+)$")
_AT_LINE: Final = re.compile(
    r"(?P<file>[\w.-]+/(?:charts/[\w.-]+/)*templates/[\w./-]+):(?P<line>\d+)(?::(?P<column>\d+))?"
)
_INLINE: Final = ".undrift-values.yaml"
_RENDERED: Final = "rendered.yaml"
_BEFORE, _AFTER, _FARTHEST = -1000, 1000, 500
_HOOK: Final = "helm.sh/hook"
_WEIGHT: Final = "helm.sh/hook-weight"
_WAVE: Final = "undrift.dev/wave"
_RENEW: Final = "undrift.dev/renew"
_RUN: Final = "undrift.dev/run"
_ON_DELETE: Final = "undrift.dev/on-delete"
_DELETE_WAVE: Final = "undrift.dev/on-delete-wave"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The settings of an application, checked."""

    chart: str = "."
    repository: str = ""
    version: str = ""
    release: str = ""
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    value_files: tuple[str, ...] = ()
    set: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    crds: bool = True
    api_versions: tuple[str, ...] = ()
    kube_version: str = ""
    post_render: str = ""
    remote: bool = False


class HelmRenderer:
    """`kind: helm`."""

    self_contained = False

    def __init__(self, decryptor: interfaces.Decryptor | None = None) -> None:
        self._decryptor = decryptor
        self._charts = _Charts()

    def version(self) -> str:
        """See `interfaces.Renderer`."""
        tool = workspace.find("helm")
        return _version(tool, pathlib.Path(tool).stat().st_mtime_ns)

    def beside(self, artifact: source.Artifact, recipe: interfaces.Recipe) -> frozenset[str]:
        """The chart, the value files and the overlay, where they lie outside of the application's path."""
        if artifact.path != recipe.path or posixpath.normpath(artifact.path) == ".":
            return kustomize.bases(artifact)
        try:
            chosen = choose(recipe.settings)
        except errors.UndriftError:
            return frozenset()
        named = [*chosen.value_files, *([] if chosen.repository else [chosen.chart])]
        named += [chosen.post_render] if chosen.post_render else []
        inside = posixpath.normpath(artifact.path)
        found = {_placed(artifact.path, name) for name in named}
        return kustomize.bases(artifact) | frozenset(
            path for path in found if path != inside and not path.startswith((f"{inside}/", "..", "/"))
        )

    async def render(
        self, artifact: source.Artifact, recipe: interfaces.Recipe, facts: target.Facts
    ) -> interfaces.Rendered:
        """See `interfaces.Renderer`."""
        chosen = choose(recipe.settings)
        variables = substituting.variables(recipe.settings)
        opened = await opening.opened(workspace.gathered(artifact, artifact.files), ".", self._decryptor)
        if opened.wrong:
            raise errors.gather([error for _, error in sorted(opened.wrong.items())])
        kitchen = _Kitchen(posixpath.normpath(artifact.path), chosen, opened, recipe, facts)
        pulled = await self._charts.pull(chosen) if chosen.repository else None
        text = await kitchen.template(pulled)
        if variables is not None:
            text = substituting.substitute(text, variables, kitchen.shown)
        documents = list(kitchen.documents(text))
        if chosen.post_render:
            documents = await kitchen.post_rendered(documents)
        tools = {"helm": self.version(), "undrift": undrift.__version__}
        return interfaces.Rendered(tuple(_hooked(documents)), {}, opened.encrypted, tools)

    async def packed(self, chosen: Chosen) -> pathlib.Path:
        """The packed chart of a repository, as this renderer keeps it. Raises a `RenderError`."""
        return await self._charts.pull(chosen)


@dataclasses.dataclass(frozen=True, slots=True)
class _Kitchen:
    """One rendering."""

    path: str
    chosen: Chosen
    opened: opening.Opened
    recipe: interfaces.Recipe
    facts: target.Facts

    @property
    def shown(self) -> str:
        """What people call the chart."""
        chosen = self.chosen
        if chosen.repository:
            return f"{chosen.repository}/{chosen.chart}@{chosen.version}"
        return posixpath.normpath(posixpath.join(self.path, chosen.chart))

    async def template(self, pulled: pathlib.Path | None) -> str:
        """What `helm template` prints. Raises a `RenderError`."""
        files = dict(self.opened.files)
        self._check(files)
        inline = f"{self.path}/{_INLINE}"
        files[posixpath.normpath(inline)] = source.File(yaml.dump(dict(self.chosen.values)).encode())
        async with workspace.workspace(files) as folder:
            chart = str(pulled) if pulled is not None else str(folder / self.shown)
            tool = workspace.find("helm")
            if self.chosen.remote and pulled is None:
                await workspace.run([tool, "dependency", "build", chart], folder, remote=True)
            done = await workspace.run(
                [
                    tool,
                    "template",
                    self.chosen.release or self.recipe.name or "release",
                    chart,
                    *self._options(folder),
                ],
                folder,
                remote=False,
            )
            if done.returncode == 0:
                return done.stdout.decode("utf-8", "replace")
            said = done.stderr.decode("utf-8", "replace").replace(f"{folder}/", "")
        raise self._failed(self.opened.mask(said))

    def _check(self, files: Mapping[str, source.File]) -> None:
        """Files that are named have to be there."""
        wrong: list[errors.UndriftError] = []
        for name in self.chosen.value_files:
            path = _placed(self.path, name)
            if path not in files:
                wrong.append(_no_value_file(path, files))
        if (
            not self.chosen.repository
            and f"{self.shown}/Chart.yaml" not in files
            and "Chart.yaml" not in files
        ):
            wrong.append(
                errors.RenderFailed(
                    f"{self.shown} is no chart", why="it has no Chart.yaml", hint="correct renderer.chart"
                )
            )
        if wrong:
            raise errors.gather(wrong)

    def _options(self, folder: pathlib.Path) -> Iterator[str]:
        chosen, values = self.chosen, self.facts.values
        yield from ("--namespace", self.recipe.namespace or "default", "--skip-tests")
        if chosen.crds:
            yield "--include-crds"
        version = chosen.kube_version or str(values.get("version") or "")
        if version:
            yield from ("--kube-version", version)
        known = [*values.get("apiVersions", ()), *chosen.api_versions]
        if known:
            yield from ("--api-versions", ",".join(known))
        for name in (*chosen.value_files, _INLINE):
            yield from ("--values", str(folder / _placed(self.path, name)))
        for name, value in chosen.set.items():
            yield from ("--set-string" if isinstance(value, str) else "--set", f"{name}={_literal(value)}")

    def documents(self, text: str) -> Iterator[interfaces.Document]:
        """The objects that were printed, each with the template that it comes from."""
        tracer = tracing.Tracer(self.opened.files)
        for part in _SPLIT.split(text):
            named = _SOURCE.search(part)
            inner = named["path"].partition("/")[2] if named else ""
            file = (
                posixpath.normpath(posixpath.join(self.shown, inner)) if not self.chosen.repository else inner
            )
            try:
                found = yaml.documents(part, file)
            except yaml.YamlError as error:
                raise errors.RenderFailed(
                    f"{self.shown} renders to something that is not YAML",
                    origin=errors.Origin(file),
                    why=f"line {error.line} of the output: {error.problem}",
                    hint="run helm template there, and look at the indentation of that template",
                ) from None
            hidden = bool(self.opened.encrypted)
            for one in found:
                positions = tracer.line_of(file, one.data) or {(): (1, 1)}
                yield interfaces.Document(one.data, file, positions, hidden and _may_hold_secrets(one.data))

    async def post_rendered(self, documents: list[interfaces.Document]) -> list[interfaces.Document]:
        """What an overlay makes of the output: its kustomization has `resources: [rendered.yaml]`."""
        path = posixpath.normpath(posixpath.join(self.path, self.chosen.post_render))
        whole = "---\n".join(yaml.dump(one.data) for one in documents)
        files = {**self.opened.files, f"{path}/{_RENDERED}": source.File(whole.encode())}
        output = await kustomize.build(files, path, self.opened.mask, remote=self.chosen.remote)
        return [_matched(one.data, documents, path) for one in yaml.documents(output, path)]

    def _failed(self, said: str) -> errors.RenderFailed:
        text = said.strip().removeprefix("Error: ").strip()
        found = _AT_LINE.search(text)
        origin = errors.Origin(self.shown)
        if found and not self.chosen.repository:
            file = posixpath.normpath(posixpath.join(self.shown, found["file"].partition("/")[2]))
            origin = errors.Origin(file, int(found["line"]), int(found["column"] or 0))
        hint = ""
        if "found in Chart.yaml, but missing in charts/" in text:
            hint = "commit charts/ (helm dependency build), or set renderer.remote to true"
        return errors.RenderFailed(f"helm cannot render {self.shown}", origin=origin, why=text, hint=hint)


class _Charts:
    """Charts of repositories at exact versions, fetched once by this process."""

    def __init__(self) -> None:
        self._folder: pathlib.Path | None = None
        self._known: dict[tuple[str, str, str], pathlib.Path] = {}
        self._lock = asyncio.Lock()

    async def pull(self, chosen: Chosen) -> pathlib.Path:
        """The packed chart. Raises a `RenderError`."""
        key = (chosen.repository, chosen.chart, chosen.version)
        async with self._lock:
            if key not in self._known:
                self._known[key] = await self._pull(chosen)
            return self._known[key]

    async def _pull(self, chosen: Chosen) -> pathlib.Path:
        if self._folder is None:
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix="undrift-charts-"))
            weakref.finalize(self, shutil.rmtree, self._folder, True)
        into = self._folder / canonical.digest([chosen.repository, chosen.chart, chosen.version])[7:]
        into.mkdir(exist_ok=True)
        oci = chosen.repository.startswith("oci://")
        what = (
            [f"{chosen.repository.rstrip('/')}/{chosen.chart}"]
            if oci
            else [chosen.chart, "--repo", chosen.repository]
        )
        command = [
            workspace.find("helm"),
            "pull",
            *what,
            "--version",
            chosen.version,
            "--destination",
            str(into),
        ]
        done = await workspace.run(command, into, remote=True)
        found = sorted(into.glob("*.tgz"))
        if done.returncode or not found:
            raise errors.RenderFailed(
                f"the chart {chosen.chart} {chosen.version} cannot be fetched",
                why=done.stderr.decode("utf-8", "replace").strip().removeprefix("Error: "),
                hint=f"is it in {chosen.repository}?",
            )
        return found[0]


def choose(settings: Mapping[str, Any]) -> Chosen:
    """The settings, checked. Raises `RenderFailed`s, all at once."""
    wrong: list[errors.UndriftError] = [
        errors.RenderFailed(
            f"renderer.{name} is not a setting of helm", hint=words.suggestion(str(name), _SETTINGS)
        )
        for name in settings
        if name not in _SETTINGS
    ]

    def take(name: str, kind: type[Any] | tuple[type[Any], ...], default: Any, hint: str) -> Any:
        value = settings.get(name, default)
        if isinstance(value, kind):
            return value
        wrong.append(errors.RenderFailed(f"renderer.{name} cannot be used", hint=hint))
        return default

    made = Chosen(
        chart=take("chart", str, ".", "write the path of the chart, or its name in the repository"),
        repository=take("repository", str, "", "write https://… or oci://…"),
        version=str(take("version", (str, int, float), "", "write the version of the chart")),
        release=take("releaseName", str, "", "write a name"),
        values=take("values", Mapping, {}, "write a mapping"),
        value_files=tuple(
            _value_file(each, wrong)
            for each in take("valueFiles", (list, tuple), (), "write a list of paths")
        ),
        set=take("set", Mapping, {}, "write {path: value}"),
        crds=take("includeCrds", bool, True, "write true or false"),
        api_versions=tuple(take("apiVersions", (list, tuple), (), "write a list")),
        kube_version=str(take("kubeVersion", (str, float), "", "write a version")),
        post_render=take("postRender", str, "", "write the path of a kustomization"),
        remote=take("remote", bool, False, "write true or false"),
    )
    if made.repository and not _EXACT.match(made.version):
        wrong.append(
            errors.RenderFailed(
                "renderer.version has to be exact",
                why=f"{made.version or 'nothing'} may be another chart tomorrow",
                hint="write the version in full, as 1.2.3",
            )
        )
    if wrong:
        raise errors.gather(wrong)
    return made


def _value_file(given: Any, wrong: list[errors.UndriftError]) -> str:
    """A path, or how a file of another source is spelled among paths."""
    if isinstance(given, str):
        return given
    spelled = elsewhere.spell(given) if isinstance(given, Mapping) else ""
    if not spelled:
        wrong.append(
            errors.RenderFailed(
                "an item of renderer.valueFiles cannot be used",
                hint="write a path, or {source: NAME, path: PATH} for a file of another source",
            )
        )
    return spelled


def _placed(path: str, name: str) -> str:
    """Where a file that is named from `path` lies among all that was gathered."""
    return name if elsewhere.read(name) else posixpath.normpath(posixpath.join(path, name))


def _no_value_file(path: str, files: Mapping[str, source.File]) -> errors.RenderFailed:
    place = elsewhere.read(path)
    if place is not None:
        return errors.RenderFailed(
            f"the value file {place[1]} of source {place[0]} does not exist",
            hint="add it there, or correct renderer.valueFiles; only an agent reads other sources",
        )
    hint = words.suggestion(path, [each for each in files if each.endswith((".yaml", ".yml"))])
    return errors.RenderFailed(f"the value file {path} does not exist", hint=hint)


@functools.lru_cache(8)
def _version(tool: str, changed: int) -> str:
    try:
        done = subprocess.run([tool, "version", "--short"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return f"helm {changed}"
    return f"helm {done.stdout.decode('utf-8', 'replace').strip() or changed}"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value).replace(",", "\\,")


def _may_hold_secrets(data: Any) -> bool:
    """Where values were encrypted, only what plainly holds none of them is shown."""
    return isinstance(data, Mapping) and data.get("kind") not in {"Namespace", "CustomResourceDefinition"}


def _matched(data: Any, before: list[interfaces.Document], path: str) -> interfaces.Document:
    """A document of an overlay's output, with the place of the one that it was made from."""
    for one in before:
        if tracing.is_same(one.data, data):
            return interfaces.Document(data, one.file, one.positions, one.secret)
    return interfaces.Document(
        data, f"{path}/kustomization.yaml", {(): (1, 1)}, any(one.secret for one in before)
    )


def _hooked(documents: list[interfaces.Document]) -> Iterator[interfaces.Document]:
    """Hooks as waves: before everything, or after it; they run again when anything else of the chart changed.

    Hooks of deletions are farewells, or are that, too.
    """
    others = [one.data for one in documents if not _hooks(one.data)]
    run = canonical.digest(others)[7:19] if len(others) < len(documents) else ""
    for one in documents:
        hooks = _hooks(one.data)
        leaving = "before" if "pre-delete" in hooks else "after" if "post-delete" in hooks else ""
        if not hooks or "crd-install" in hooks:
            yield one
        elif {"pre-install", "pre-upgrade"} & hooks:
            yield _at_end(_in_wave(one, _BEFORE, run), f"also {leaving}" if leaving else "")
        elif {"post-install", "post-upgrade"} & hooks:
            yield _at_end(_in_wave(one, _AFTER, run), f"also {leaving}" if leaving else "")
        elif leaving:
            yield _at_end(_in_wave(one, 0, run), leaving)


def _hooks(data: Any) -> set[str]:
    metadata = data.get("metadata") if isinstance(data, Mapping) else None
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    written = annotations.get(_HOOK) if isinstance(annotations, Mapping) else None
    return {part.strip() for part in str(written).split(",")} if written else set()


def _at_end(one: interfaces.Document, when: str) -> interfaces.Document:
    """A document that is (also) for the end of the application, in the order of the weights of all such."""
    if not when:
        return one
    metadata = one.data["metadata"]
    said = {_ON_DELETE: when, _DELETE_WAVE: str(_weight(metadata["annotations"]))}
    annotated = {**metadata, "annotations": {**said, **metadata["annotations"]}}
    return dataclasses.replace(one, data={**one.data, "metadata": annotated})


def _in_wave(one: interfaces.Document, base: int, run: str) -> interfaces.Document:
    metadata = dict(one.data["metadata"])
    annotations = dict(metadata["annotations"])
    annotations.setdefault(_WAVE, str(base + _weight(annotations)))
    if one.data.get("kind") in {"Job", "Pod"}:
        annotations |= {_RENEW: "true", _RUN: run}
    metadata["annotations"] = annotations
    return dataclasses.replace(one, data={**one.data, "metadata": metadata})


def _weight(annotations: Mapping[str, Any]) -> int:
    try:
        return max(-_FARTHEST, min(_FARTHEST, int(annotations.get(_WEIGHT, 0))))
    except (TypeError, ValueError):
        return 0
