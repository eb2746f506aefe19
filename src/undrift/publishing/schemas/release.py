"""A release of Kubernetes: which kinds it has, what fields they have, and what came, went and replaces it.

The files beside this module are written by `scripts/schemas`, which names their sources. One is read when a stage
needs it (about 5 ms), and the shape of a kind is made when a resource of that kind is checked.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import json
import lzma
import re
from collections.abc import Mapping
from typing import Any, Final

from undrift.providers.kubernetes import kinds, shapes

Kind = tuple[str, str]
"""`apiVersion` and kind."""
_FILE: Final = re.compile(r"kubernetes-(\d+)\.(\d+)\.json\.xz")
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:[.+-].*)?")
_KINDS: Final = "x-kubernetes-group-version-kind"
_METADATA: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


class Release:
    """The schemas of one release. `version` is as `1.33`."""

    def __init__(self, version: str, schemas: Mapping[str, Any]) -> None:
        self.version = version
        self._maker = shapes.Maker(schemas)
        self._names = {
            (f"{one['group']}/{one['version']}".lstrip("/"), one["kind"]): name
            for name, schema in schemas.items()
            for one in schema.get(_KINDS, ())
            if len(schema[_KINDS]) == 1
        }
        self.groups = frozenset(kinds.group_of(version) for version, _ in self._names)
        self._shapes: dict[Kind, shapes.Shape] = {}

    def shape(self, kind: Kind) -> shapes.Shape | None:
        """What a resource of that kind may be; None when this release does not have it."""
        name = self._names.get(kind)
        if name is None:
            return None
        if kind not in self._shapes:
            self._shapes[kind] = self._maker.shape({"$ref": name})
        return self._shapes[kind]

    def metadata(self) -> shapes.Shape:
        """What any resource's `metadata` may be."""
        return self._maker.shape({"$ref": _METADATA})

    def of_group(self, group: str) -> list[Kind]:
        """The kinds of a group."""
        return [one for one in self._names if kinds.group_of(one[0]) == group]

    def successor(self, kind: Kind) -> Kind | None:
        """The kind of the same name and group in the most stable version that this release has."""
        same = [one for one in self.of_group(kinds.group_of(kind[0])) if one[1] == kind[1] and one != kind]
        return max(same, key=lambda one: ("alpha" not in one[0], "beta" not in one[0], one[0]), default=None)


@dataclasses.dataclass(frozen=True, slots=True)
class Life:
    """When a kind came, was deprecated and removed, as numbers (() for never), and what to use instead ("" unknown)."""

    introduced: tuple[int, ...]
    deprecated: tuple[int, ...]
    removed: tuple[int, ...]
    replacement: str


def parsed(version: str) -> tuple[int, ...]:
    """`v1.33.2` as (1, 33); () for what is no version."""
    found = _VERSION.fullmatch(version.strip())
    return (int(found[1]), int(found[2])) if found else ()


def written(version: tuple[int, ...]) -> str:
    """(1, 33) as `1.33`."""
    return ".".join(map(str, version))


@functools.cache
def known() -> tuple[tuple[int, ...], ...]:
    """The releases whose schemas are carried, the oldest first."""
    names = (_FILE.fullmatch(one.name) for one in importlib.resources.files(__package__).iterdir())
    return tuple(sorted((int(one[1]), int(one[2])) for one in names if one))


def nearest(version: str) -> Release:
    """That release; of those before the first or after the last that is carried, that one. "" is the last."""
    wanted = parsed(version)
    at_least = [one for one in known() if one >= wanted]
    return _read(at_least[0] if wanted and at_least else known()[-1])


@functools.lru_cache(4)
def _read(version: tuple[int, ...]) -> Release:
    name = written(version)
    return Release(name, _load(f"kubernetes-{name}.json.xz"))


@functools.cache
def lives() -> Mapping[Kind, Life]:
    """What is known of kinds that come and go."""
    found: dict[Kind, Life] = {}
    for title, (*releases, replacement) in _load("lifecycle.json.xz").items():
        version, _, kind = title.partition(" ")
        introduced, deprecated, removed = map(parsed, releases)
        found[version, kind] = Life(introduced, deprecated, removed, replacement)
    return found


def _load(name: str) -> dict[str, Any]:
    packed = importlib.resources.files(__package__).joinpath(name).read_bytes()
    found: dict[str, Any] = json.loads(lzma.decompress(packed))
    return found
