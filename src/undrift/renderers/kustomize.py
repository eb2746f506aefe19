"""Kustomize: the real tool (`kustomize`, or the one in `kubectl`), on a private copy of what it reads.

Remote bases and plug-ins are off unless `remote: true` allows to fetch.
"""

from __future__ import annotations

import functools
import json
import pathlib
import posixpath
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors, interfaces
from undrift.lib import mask, words, yaml
from undrift.model import source, target
from undrift.renderers import opening, substituting, tracing, workspace

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FOLDERS: Final = ("resources", "bases", "components", "generators", "transformers", "validators", "crds")
_SETTINGS: Final = ("remote", substituting.SETTING)
_ORIGIN: Final = "config.kubernetes.io/origin"
_ASKS: Final = b"\nbuildMetadata: [originAnnotations]\n"


class KustomizeRenderer:
    """`kind: kustomize`. Settings: `remote` (false) lets it fetch bases from elsewhere."""

    self_contained = False

    def __init__(self, decryptor: interfaces.Decryptor | None = None) -> None:
        self._decryptor = decryptor

    def version(self) -> str:
        """See `interfaces.Renderer`."""
        tool = workspace.find("kustomize", "kubectl")
        return _version(tool, pathlib.Path(tool).stat().st_mtime_ns)

    def beside(self, artifact: source.Artifact, recipe: interfaces.Recipe) -> frozenset[str]:
        """See `interfaces.Renderer`."""
        return bases(artifact)

    async def render(
        self, artifact: source.Artifact, recipe: interfaces.Recipe, facts: target.Facts
    ) -> interfaces.Rendered:
        """See `interfaces.Renderer`."""
        remote = _remote(recipe.settings)
        opened = await opening.opened(workspace.gathered(artifact, artifact.files), ".", self._decryptor)
        if opened.wrong:
            raise errors.gather([error for _, error in sorted(opened.wrong.items())])
        path = posixpath.normpath(artifact.path)
        main = _main(artifact)
        files = dict(opened.files)
        traced = _asks_for_origins(files, posixpath.join(path, main))
        output = await build(files, path, opened.mask, remote=remote)
        variables = substituting.variables(recipe.settings)
        if variables is not None:
            text = substituting.substitute(output.decode("utf-8", "replace"), variables, f"{path}/{main}")
            output = text.encode()
        documents = _documents(output, path, opened, asked=traced)
        return interfaces.Rendered(tuple(documents), {}, opened.encrypted, {"kustomize": self.version()})


def bases(artifact: source.Artifact) -> frozenset[str]:
    """The folders that kustomizations in here take in from elsewhere in the source."""
    found: set[str] = set()
    for name, file in artifact.files.items():
        if posixpath.basename(name) in NAMES and file.kind is not source.FileKind.LINK:
            folder = posixpath.join(artifact.path, posixpath.dirname(name))
            found |= set(_outside(_read(file.content), folder, artifact.path))
    return frozenset(found)


async def build(files: Mapping[str, source.File], path: str, hide: mask.Mask, *, remote: bool) -> bytes:
    """What the tool prints for the kustomization in `path`. Raises a `RenderError`, its text without secrets."""
    tool = workspace.find("kustomize", "kubectl")
    verb = "build" if posixpath.basename(tool) == "kustomize" else "kustomize"
    async with workspace.workspace(files) as folder:
        done = await workspace.run([tool, verb, str(folder / path)], folder, remote=remote)
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.decode("utf-8", "replace").replace(f"{folder}/", "").replace(str(folder), ".")
    raise _failed(hide(said), path, files)


def _main(artifact: source.Artifact) -> str:
    for name in NAMES:
        if name in artifact.files:
            return name
    near = words.suggestion("kustomization.yaml", [name for name in artifact.files if "/" not in name])
    raise errors.RenderFailed(
        f"{artifact.path} has no kustomization",
        origin=errors.Origin(artifact.path),
        why="kustomize needs a kustomization.yaml",
        hint=near if near.startswith("did you") else "add one, or use the renderer plain",
    )


def _remote(settings: Mapping[str, Any]) -> bool:
    wrong: list[errors.UndriftError] = [
        errors.RenderFailed(
            f"renderer.{name} is not a setting of kustomize", hint=words.suggestion(str(name), _SETTINGS)
        )
        for name in settings
        if name not in _SETTINGS
    ]
    remote = settings.get("remote", False)
    if not isinstance(remote, bool):
        wrong.append(errors.RenderFailed("renderer.remote should be true or false"))
    if wrong:
        raise errors.gather(wrong)
    return bool(remote)


@functools.lru_cache(8)
def _version(tool: str, changed: int) -> str:
    """Name and version of a tool; asked again when the program was replaced."""
    own = posixpath.basename(tool) == "kustomize"
    command = [tool, "version"] if own else [tool, "version", "--client", "-o", "json"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return f"{posixpath.basename(tool)} {changed}"
    said = done.stdout.decode("utf-8", "replace").strip()
    if not own:
        try:
            said = str(json.loads(said)["kustomizeVersion"])
        except (ValueError, KeyError):
            said = str(changed)
    return f"kustomize {said}"


def _read(content: bytes) -> Mapping[str, Any]:
    try:
        found = yaml.documents(content)
    except yaml.YamlError:
        return {}
    return found[0].data if found and isinstance(found[0].data, Mapping) else {}


def _outside(kustomization: Mapping[str, Any], folder: str, own: str) -> Iterator[str]:
    """Paths of the source that a kustomization in `folder` refers to and that lie outside of `own`."""
    inside = posixpath.normpath(own)
    for field in _FOLDERS:
        entries = kustomization.get(field)
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, str) or "://" in entry or "\n" in entry:
                continue
            path = posixpath.normpath(posixpath.join(folder, entry))
            if path.startswith(("..", "/")):
                continue
            if inside not in {".", path} and not path.startswith(f"{inside}/"):
                yield path


def _asks_for_origins(files: dict[str, source.File], main: str) -> bool:
    """Have the tool say where each object comes from, unless the kustomization says something of it itself."""
    name = posixpath.normpath(main)
    file = files[name]
    if b"buildMetadata" in file.content or file.content.lstrip()[:1] == b"{":
        return False
    files[name] = source.File(file.content.rstrip(b"\n") + _ASKS, file.kind)
    return True


def _documents(
    output: bytes, path: str, opened: opening.Opened, *, asked: bool
) -> Iterator[interfaces.Document]:
    tracer = tracing.Tracer(opened.files)
    main = next(
        (f"{path}/{name}" for name in NAMES if posixpath.normpath(f"{path}/{name}") in opened.files), path
    )
    for one in yaml.documents(output, "the output of kustomize"):
        data = one.data
        origin = _origin(data, asked=asked)
        file = posixpath.normpath(posixpath.join(path, origin)) if origin else posixpath.normpath(main)
        positions: tracing.Positions = tracer.positions(file, data) if origin else {(): (1, 1)}
        hidden = file in opened.encrypted or (not origin and bool(opened.encrypted))
        yield interfaces.Document(data, file, positions, hidden)


def _origin(data: Any, *, asked: bool) -> str:
    """The file that an object comes from, "" when it was generated; the note that we asked for is taken off."""
    metadata = data.get("metadata") if isinstance(data, Mapping) else None
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(annotations, dict) or _ORIGIN not in annotations:
        return ""
    written = annotations.pop(_ORIGIN) if asked else annotations[_ORIGIN]
    if asked and not annotations and isinstance(metadata, dict):
        del metadata["annotations"]
    told = _read(str(written).encode())
    return str(told.get("path") or "") if "repo" not in told else ""


_NAMES_FILE: Final = re.compile(r"(?P<file>[\w./-]+\.(?:yaml|yml|json))(?::(?P<line>\d+))?")
_LINE: Final = re.compile(r"line (\d+)")


def _failed(said: str, path: str, files: Mapping[str, source.File]) -> errors.RenderFailed:
    """The error for what the tool said, at the file that it names where there is one of that name."""
    text = said.strip().removeprefix("error: ").removeprefix("Error: ")
    origin = errors.Origin(posixpath.normpath(path))
    for found in _NAMES_FILE.finditer(text):
        name = posixpath.normpath(found["file"]).removeprefix("../")
        place = next((each for each in sorted(files, key=len) if f"/{each}".endswith(f"/{name}")), "")
        if place and posixpath.basename(place) not in NAMES:
            line = _LINE.search(text)
            origin = errors.Origin(place, int(line[1]) if line else 0)
            break
    hint = (
        "set renderer.remote to true if it may fetch that"
        if _is_remote(text)
        else "run kustomize build there"
    )
    return errors.RenderFailed(f"kustomize cannot build {path}", origin=origin, why=text, hint=hint)


def _is_remote(text: str) -> bool:
    return any(sign in text for sign in ("executable file not found", "127.0.0.1:9", "git' program"))
