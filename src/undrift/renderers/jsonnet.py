"""Jsonnet: the C++ evaluator in a process of its own, which sees the files of the source and nothing else.

What a program evaluates to is an object with a kind, a list, or an object of such things at any depth: then each
of them is a document, in the order of their names.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, Final

from undrift import errors, interfaces
from undrift.lib import jsonnet, words
from undrift.model import source, target
from undrift.renderers import opening, tracing, workspace

MAIN: Final = "main.jsonnet"
LIBRARIES: Final = ("lib", "vendor")
_SETTINGS: Final = ("main", "libraries", "variables", "arguments")
_FILES: Final = (".jsonnet", ".libsonnet")
_IMPORT: Final = re.compile(rb"""\bimport(?:str|bin)?\s*@?(?P<quote>["'])(?P<name>[^"'\n]+)(?P=quote)""")
_PLACE: Final = re.compile(
    r"(?P<file>[\w./@+-]+):(?:\((?P<l2>\d+):(?P<c2>\d+)\)|(?P<line>\d+)(?::(?P<column>\d+))?)"
)
_DEEPEST: Final = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Chosen:
    """The settings of an application, checked."""

    main: str = ""
    libraries: tuple[str, ...] = LIBRARIES
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class JsonnetRenderer:
    """`kind: jsonnet`."""

    self_contained = False

    def __init__(self, decryptor: interfaces.Decryptor | None = None) -> None:
        self._decryptor = decryptor

    def version(self) -> str:
        """See `interfaces.Renderer`."""
        return _version()

    def beside(self, artifact: source.Artifact, recipe: interfaces.Recipe) -> frozenset[str]:
        """What is imported from outside of the path, and the libraries that lie there."""
        try:
            chosen = choose(recipe.settings)
        except errors.UndriftError:
            return frozenset()
        inside = posixpath.normpath(artifact.path)
        folder = posixpath.dirname(artifact.path) if artifact.single else artifact.path
        named = set(_imports(artifact, folder))
        if artifact.path == recipe.path:
            named |= {posixpath.join(recipe.path, name) for name in chosen.libraries}
        found = {posixpath.normpath(name) for name in named}
        return frozenset(
            path
            for path in found
            if inside not in {".", path} and not path.startswith((f"{inside}/", "..", "/"))
        )

    async def render(
        self, artifact: source.Artifact, recipe: interfaces.Recipe, facts: target.Facts
    ) -> interfaces.Rendered:
        """See `interfaces.Renderer`."""
        chosen = choose(recipe.settings)
        opened = await opening.opened(workspace.gathered(artifact, artifact.files), ".", self._decryptor)
        if opened.wrong:
            raise errors.gather([error for _, error in sorted(opened.wrong.items())])
        mains = _mains(artifact, chosen)
        found = await _evaluate(artifact.path, mains, chosen, opened)
        documents: list[interfaces.Document] = []
        for main, value, imported in zip(mains, found["values"], found["imported"], strict=True):
            read = [main, *imported]
            secret = not opened.encrypted.isdisjoint(read)
            tracer = tracing.Tracer({path: opened.files[path] for path in read})
            for data in objects(value, main):
                file, positions = tracer.mention(data, main)
                documents.append(interfaces.Document(data, file, positions, secret))
        return interfaces.Rendered(tuple(documents), {}, opened.encrypted, {"jsonnet": self.version()})


def choose(settings: Mapping[str, Any]) -> Chosen:
    """The settings, checked. Raises `RenderFailed`s, all at once."""
    wrong: list[errors.UndriftError] = [
        errors.RenderFailed(
            f"renderer.{name} is not a setting of jsonnet", hint=words.suggestion(str(name), _SETTINGS)
        )
        for name in settings
        if name not in _SETTINGS
    ]
    main, libraries = settings.get("main", ""), settings.get("libraries", LIBRARIES)
    if not isinstance(main, str):
        wrong.append(
            errors.RenderFailed("renderer.main cannot be used", hint="write the path of a .jsonnet file")
        )
    if not isinstance(libraries, list | tuple) or not all(isinstance(one, str) for one in libraries):
        wrong.append(errors.RenderFailed("renderer.libraries cannot be used", hint="write a list of paths"))
    given = {name: settings.get(name, {}) for name in ("variables", "arguments")}
    for name, value in given.items():
        if not isinstance(value, Mapping):
            wrong.append(errors.RenderFailed(f"renderer.{name} cannot be used", hint="write {name: value}"))
    if wrong:
        raise errors.gather(wrong)
    return Chosen(str(main), tuple(libraries), given["variables"], given["arguments"])


def objects(value: Any, main: str, steps: tuple[str, ...] = ()) -> Iterator[Mapping[str, Any]]:
    """The documents in a value. Raises `RenderFailed` for what is none."""
    if isinstance(value, Mapping) and "kind" in value and "apiVersion" in value:
        yield value
    elif isinstance(value, Mapping) and len(steps) < _DEEPEST:
        for name in sorted(value):
            yield from objects(value[name], main, (*steps, name))
    elif isinstance(value, list) and len(steps) < _DEEPEST:
        for index, item in enumerate(value):
            yield from objects(item, main, (*steps, str(index)))
    elif value is not None:
        raise errors.RenderFailed(
            f"{main} evaluates to something that is no manifest",
            origin=errors.Origin(main),
            why=f"at {'.'.join(steps) or 'its top'} there is neither an object with apiVersion and kind, nor a list of them",
            hint="make fields that are no manifests hidden with ::",
        )


async def _evaluate(path: str, mains: list[str], chosen: Chosen, opened: opening.Opened) -> jsonnet.Answer:
    files = {
        name: file.content for name, file in opened.files.items() if file.kind is not source.FileKind.LINK
    }
    libraries = [posixpath.normpath(posixpath.join(path, name)) for name in chosen.libraries]
    asked = jsonnet.question(files, mains, libraries, chosen.variables, chosen.arguments)
    async with workspace.workspace({}) as folder:
        command = [sys.executable, "-I", "-m", "undrift.lib.jsonnet"]
        done = await workspace.run(command, folder, remote=False, stdin=asked)
    if done.returncode:
        said = opened.mask(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2])
        raise errors.RenderFailed(
            f"jsonnet was ended while it evaluated {path}",
            origin=errors.Origin(mains[0]),
            why=said or f"it used more time or memory than it may (exit code {done.returncode})",
            hint="does it ever end?",
        )
    found: jsonnet.Answer = json.loads(done.stdout)
    if found["failed"]:
        raise _failed(opened.mask(found["said"]), found["failed"], set(opened.files))
    return found


def _mains(artifact: source.Artifact, chosen: Chosen) -> list[str]:
    """The files to evaluate: the one that is named, `main.jsonnet`, or all in the folder itself."""
    own = [name for name in sorted(artifact.files) if name.endswith(".jsonnet")]
    if chosen.main:
        name = posixpath.normpath(chosen.main)
        found = [name] if name in artifact.files else []
    else:
        found = [MAIN] if MAIN in own else [name for name in own if "/" not in name]
    if not found:
        raise errors.RenderFailed(
            f"{artifact.path} has no {chosen.main or 'file *.jsonnet'}",
            origin=errors.Origin(posixpath.normpath(artifact.path)),
            hint=words.suggestion(chosen.main, own) or "name the file with renderer.main",
        )
    folder = posixpath.dirname(artifact.path) if artifact.single else artifact.path
    return [posixpath.normpath(posixpath.join(folder, name)) for name in found]


def _imports(artifact: source.Artifact, folder: str) -> Iterator[str]:
    for name, file in artifact.files.items():
        if name.endswith(_FILES) and file.kind is not source.FileKind.LINK:
            for found in _IMPORT.finditer(file.content):
                imported = found["name"].decode("utf-8", "replace")
                yield posixpath.join(folder, posixpath.dirname(name), imported)


def _failed(said: str, main: str, files: set[str]) -> errors.RenderFailed:
    """What the evaluator said, at the first place that it names in a file of the source."""
    text = said.strip()
    origin = errors.Origin(main)
    for found in _PLACE.finditer(text):
        if found["file"] in files:
            line, column = found["line"] or found["l2"], found["column"] or found["c2"]
            origin = errors.Origin(found["file"], int(line), int(column or 0))
            break
    first = text.partition("\n")[0]
    hint = ""
    if "undefined external variable" in first:
        hint = "declare it in renderer.variables"
    elif "not bound in call" in first and "Top-level function" in text:
        hint = "declare it in renderer.arguments"
    elif "couldn't open import" in first:
        hint = "put its folder into renderer.libraries, or vendor it into the source"
    return errors.RenderFailed(f"jsonnet cannot evaluate {main}", origin=origin, why=first, hint=hint)


@functools.cache
def _version() -> str:
    try:
        return f"jsonnet {metadata.version('jsonnet')}"
    except metadata.PackageNotFoundError:
        raise errors.ToolMissing(
            "jsonnet is not installed", hint="install the Python package jsonnet beside Undrift"
        ) from None
