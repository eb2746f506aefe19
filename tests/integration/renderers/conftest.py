"""The real tools on the PATH, and artifacts made from dicts of files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from tests import peers
from undrift import interfaces
from undrift.model import source, target
from undrift.renderers import helm, jsonnet, kustomize

REVISION = source.Revision("main", "sha1:" + "1" * 40)
FACTS = target.Facts({"version": "1.37.2", "apiVersions": ("v1", "apps/v1", "example.com/v1")})


class Render(Protocol):
    async def __call__(
        self,
        files: Mapping[str, str | bytes],
        path: str = ".",
        decryptor: interfaces.Decryptor | None = None,
        **settings: Any,
    ) -> interfaces.Rendered: ...


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was built for the tests."""
    folders = {str(peers.require_tool(name).parent) for name in ("kubectl", "helm")}
    monkeypatch.setenv("PATH", os.pathsep.join(sorted(folders)))


def artifact(
    files: Mapping[str, str | bytes], path: str, renderer: interfaces.Renderer, recipe: interfaces.Recipe
) -> source.Artifact:
    """The files below `path`, and around it what the renderer asks for, as the engine would gather it."""
    whole = {
        name: source.File(text.encode() if isinstance(text, str) else text) for name, text in files.items()
    }

    def below(place: str) -> source.Artifact:
        if place in whole:
            return source.Artifact(
                REVISION, place, "d", {place.rpartition("/")[2]: whole[place]}, single=True
            )
        prefix = "" if place == "." else f"{place}/"
        own = {name.removeprefix(prefix): file for name, file in whole.items() if name.startswith(prefix)}
        return source.Artifact(REVISION, place, "d", own)

    main, around, todo, seen = below(path), dict[str, source.File](), [path], set[str]()
    while todo:
        place = todo.pop()
        seen.add(place)
        found = below(place)
        if place != path:
            prefix = "" if found.single else f"{place}/"
            around |= {place if found.single else prefix + name: file for name, file in found.files.items()}
        todo += [each for each in renderer.beside(found, recipe) if each not in seen]
    return source.Artifact(REVISION, path, "d", main.files, around=around)


_Any = helm.HelmRenderer | jsonnet.JsonnetRenderer | kustomize.KustomizeRenderer


def renders(renderer_class: type[_Any]) -> Render:
    """A new renderer each time."""

    async def render(
        files: Mapping[str, str | bytes],
        path: str = ".",
        decryptor: interfaces.Decryptor | None = None,
        **settings: Any,
    ) -> interfaces.Rendered:
        return await keeping(renderer_class(decryptor))(files, path, **settings)

    return render


def keeping(made: _Any) -> Render:
    """One renderer with what it remembers."""

    async def render(
        files: Mapping[str, str | bytes],
        path: str = ".",
        decryptor: interfaces.Decryptor | None = None,
        **settings: Any,
    ) -> interfaces.Rendered:
        recipe = interfaces.Recipe("web", "prod", path, settings)
        return await made.render(artifact(files, path, made, recipe), recipe, FACTS)

    return render


@pytest.fixture
def render_kustomize(tools: None) -> Render:
    return renders(kustomize.KustomizeRenderer)


@pytest.fixture
def render_helm(tools: None) -> Render:
    return renders(helm.HelmRenderer)


@pytest.fixture
def render_jsonnet() -> Render:
    return renders(jsonnet.JsonnetRenderer)
