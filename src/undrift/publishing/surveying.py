"""What lies in an application's repository: its files, the manifests in them, their containers and namespaces.

Only looking happens here; what is made of it is for `guessing` to say.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift.lib import yaml

_MOST_FILES: Final = 20_000
_LARGEST: Final = 1 << 20
_DEEPEST: Final = 8
_SKIPPED: Final = frozenset(
    {"build", "dist", "node_modules", "target", "testdata", "tests", "vendor", "venv", "__pycache__"}
)
_SKIPPED_AT_TOP: Final = _SKIPPED | {"doc", "docs", "test"}
"""Deeper down, `test` is a stage."""
_READ: Final = (".yaml", ".yml")
_POD_PATHS: Final = (
    ("spec", "template", "spec"),
    ("spec", "jobTemplate", "spec", "template", "spec"),
    ("spec",),
)
_RANKS: Final = (
    (0, frozenset({"dev", "development", "sandbox"})),
    (1, frozenset({"test", "testing", "qa", "int", "integration"})),
    (2, frozenset({"acceptance", "canary", "preprod", "pre", "stage", "staging", "stg", "uat"})),
    (3, frozenset({"live", "prd", "prod", "production"})),
)
_UNRANKED: Final = 2
_LAST: Final = 3
_LONGEST_NAME: Final = 63


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """A container that a manifest declares, and where."""

    name: str
    image: str
    resource: str
    file: str


class Tree:
    """The files of a repository: path → content; empty for those that nobody has to read."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(sorted(files.items()))
        self._documents: dict[str, tuple[Mapping[str, Any], ...]] = {}

    def documents(self, path: str) -> tuple[Mapping[str, Any], ...]:
        """The mappings of a YAML file; none where it cannot be read (a template, say)."""
        if path not in self._documents:
            self._documents[path] = tuple(_read(self.files.get(path, b"")))
        return self._documents[path]

    def below(self, folder: str) -> Iterator[str]:
        """The files of a folder, at any depth."""
        start = "" if folder == "." else f"{folder}/"
        return (path for path in self.files if path.startswith(start))

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder."""
        start = "" if folder == "." else f"{folder}/"
        inside = (path.removeprefix(start) for path in self.below(folder))
        return sorted({path.partition("/")[0] for path in inside if "/" in path})

    def manifests(self, folder: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The Kubernetes manifests below a folder, with their files."""
        for path in self.below(folder):
            for document in self.documents(path):
                if _is_manifest(document):
                    yield path, document

    def containers(self, folder: str) -> Iterator[Container]:
        """The containers that manifests below a folder declare, those that begin with the Pod included."""
        for path, document in self.manifests(folder):
            resource = f"{document['kind']}/{(document.get('metadata') or {}).get('name', '')}"
            for one in _containers(document):
                yield Container(str(one.get("name", "")), str(one.get("image", "")), resource, path)

    def namespace(self, folder: str) -> str:
        """The namespace that all manifests below a folder name; "" where they name none or several."""
        found = {(document.get("metadata") or {}).get("namespace") for _, document in self.manifests(folder)}
        found |= {
            document.get("namespace")
            for path in self.below(folder)
            for document in self._kustomizations(path)
        }
        (name,) = named if len(named := found - {None}) == 1 else ("",)
        return str(name)

    def _kustomizations(self, path: str) -> tuple[Mapping[str, Any], ...]:
        return self.documents(path) if is_kustomization(path) else ()


def look(root: pathlib.Path) -> Tree:
    """The files below a folder, without hidden, made and fetched ones; YAML is read, of others there is the name."""
    found: dict[str, bytes] = {}
    for folder, folders, names in os.walk(root):
        inside = pathlib.Path(folder).relative_to(root)
        deep = len(inside.parts) >= _DEEPEST
        skipped = _SKIPPED if inside.parts else _SKIPPED_AT_TOP
        folders[:] = [] if deep else sorted(one for one in folders if one[0] != "." and one not in skipped)
        for name in names:
            place = pathlib.Path(folder) / name
            wanted = name.endswith(_READ) and place.is_file() and place.stat().st_size <= _LARGEST
            found[(inside / name).as_posix()] = place.read_bytes() if wanted else b""
        if len(found) > _MOST_FILES:
            break
    return Tree(found)


def is_kustomization(path: str) -> bool:
    """Whether a file is what Kustomize begins with."""
    return posixpath.basename(path) in {"kustomization.yaml", "kustomization.yml", "Kustomization"}


def rank(name: str) -> int:
    """How near to production a stage of that name is: 0 to 3."""
    parts = set(re.split(r"[^a-z]+", name.lower()))
    return next((number for number, known in reversed(_RANKS) if parts & known), _UNRANKED)


def is_stage(name: str) -> bool:
    """Whether a folder or file of that name is likely one of a stage."""
    parts = set(re.split(r"[^a-z]+", name.lower()))
    return any(parts & known for _, known in _RANKS)


def is_last(name: str) -> bool:
    """Whether a stage of that name is production, which people let others look at first."""
    return rank(name) == _LAST


def name_of(text: str) -> str:
    """Text as the name of an application or stage; "" where nothing is left of it."""
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")[:_LONGEST_NAME].strip("-.")


def _read(content: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        found = yaml.documents(content)
    except (yaml.YamlError, ValueError):
        return
    yield from (one.data for one in found if isinstance(one.data, Mapping))


def _is_manifest(document: Mapping[str, Any]) -> bool:
    version = document.get("apiVersion")
    if not isinstance(version, str) or not isinstance(document.get("kind"), str):
        return False
    return not version.startswith(("undrift.dev/", "kustomize.config.k8s.io/")) and isinstance(
        document.get("metadata"), Mapping
    )


def _containers(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for path in _POD_PATHS:
        part: Any = document
        for step in path:
            part = part.get(step) if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping):
            continue
        for key in ("containers", "initContainers"):
            listed = part.get(key)
            found = listed if isinstance(listed, list) else []
            yield from (one for one in found if isinstance(one, Mapping) and one.get("image"))
