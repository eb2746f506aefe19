"""CustomResourceDefinitions that a stage brings, or that lie in the application's repository: kinds of somebody's own."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import yaml
from undrift.providers.kubernetes import shapes
from undrift.publishing.schemas import release

_KIND: Final = "CustomResourceDefinition"
_GROUP: Final = "apiextensions.k8s.io/"
_YAML: Final = (".yaml", ".yml", ".json")


@dataclasses.dataclass(frozen=True, slots=True)
class Definition:
    """A kind that a definition makes: what its resources may be, and whether they are of a namespace."""

    shape: shapes.Shape
    namespaced: bool = True


def read(documents: Iterable[Mapping[str, Any]], metadata: shapes.Shape) -> dict[release.Kind, Definition]:
    """The kinds that documents define. `metadata` is the shape of theirs, as of any resource."""
    return {kind: one for document in documents for kind, one in _of(document, metadata)}


def load(folder: pathlib.Path | None, paths: Sequence[str]) -> list[Mapping[str, Any]]:
    """Documents of files, and of folders with all below them. Raises `ConfigInvalid` where there is nothing."""
    found: list[Mapping[str, Any]] = []
    for path in paths:
        root = folder / path if folder is not None else None
        if root is None or not root.exists():
            why = "" if folder is not None else "the application's repository is not at hand"
            raise errors.ConfigInvalid(
                f"crds: {path} does not exist", why=why, hint="write paths of the application's repository"
            )
        files = sorted(each for each in root.rglob("*") if each.suffix in _YAML) if root.is_dir() else [root]
        for file in files:
            try:
                documents = yaml.documents(file.read_bytes(), str(file.relative_to(root.parent)))
            except (yaml.YamlError, OSError) as error:
                raise errors.ConfigInvalid(
                    f"crds: {path} cannot be read", why=str(error), hint="correct that file"
                ) from None
            found += [one.data for one in documents if isinstance(one.data, Mapping)]
    return found


def _of(document: Mapping[str, Any], metadata: shapes.Shape) -> Iterator[tuple[release.Kind, Definition]]:
    if document.get("kind") != _KIND or not str(document.get("apiVersion")).startswith(_GROUP):
        return
    spec = _mapping(document.get("spec"))
    kind, group = _mapping(spec.get("names")).get("kind"), spec.get("group")
    versions = spec.get("versions")
    for one in versions if isinstance(versions, list) else ():
        version = _mapping(one)
        schema = _mapping(version.get("schema")).get("openAPIV3Schema")
        shape = shapes.Maker({}).shape(schema)
        if shape.fields is not None:
            text = shapes.Shape(frozenset({"string"}))
            shape.fields |= {"apiVersion": text, "kind": text, "metadata": metadata}
        yield (
            (f"{group}/{version.get('name')}", str(kind)),
            Definition(shape, spec.get("scope") != "Cluster"),
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
