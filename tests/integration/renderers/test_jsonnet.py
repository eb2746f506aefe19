"""Jsonnet by the real evaluator: libraries, variables, what is imported from where, and all that can be wrong."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from tests.integration.renderers import conftest
from undrift import errors, interfaces
from undrift.lib import process
from undrift.model import source
from undrift.renderers import jsonnet, workspace

MAIN = """\
local k = import 'k.libsonnet';
local shared = import '../shared/names.libsonnet';
{
  settings: k.configMap('settings', { greeting: std.extVar('greeting'), text: importstr 'text.txt' }),
  accounts: [k.account(name) for name in shared.names],
  hidden:: 'not a manifest',
  nothing: if false then {},
}
"""
FILES = {
    "prod/main.jsonnet": MAIN,
    "prod/text.txt": "some text",
    "prod/lib/k.libsonnet": (
        "{ configMap(name, data): { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: name }, data: data },\n"
        "  account(name): { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: name } } }\n"
    ),
    "shared/names.libsonnet": "{\n  names: [\n    'ada',\n    'grace',\n  ],\n}\n",
    "elsewhere/secret.txt": "not for you",
}


class Reversed:
    """A decryptor whose secret is to read backwards."""

    async def decrypt(self, content: bytes, name: str) -> bytes | None:
        return content.removeprefix(b"ENC[")[::-1] if content.startswith(b"ENC[") else None


def names(found: interfaces.Rendered) -> list[tuple[str, str]]:
    return [(one.data["kind"], one.data["metadata"]["name"]) for one in found.documents]


async def test_objects_lists_and_libraries(render_jsonnet: conftest.Render) -> None:
    """Each object is traced to the line that names it, in whatever file that is."""
    found = await render_jsonnet(FILES, "prod", variables={"greeting": "hello"})

    assert names(found) == [("ServiceAccount", "ada"), ("ServiceAccount", "grace"), ("ConfigMap", "settings")]
    assert found.documents[2].data["data"] == {"greeting": "hello", "text": "some text"}
    assert [(one.file, one.positions[()][0]) for one in found.documents] == [
        ("shared/names.libsonnet", 3),
        ("shared/names.libsonnet", 4),
        ("prod/main.jsonnet", 4),
    ]


async def test_what_is_imported_from_beside_is_an_input(tmp_path: pathlib.Path) -> None:
    """A commit to it renders the application anew; one to anything else does not."""
    own = {name.removeprefix("prod/"): text for name, text in FILES.items() if name.startswith("prod/")}
    files = {name: source.File(text.encode()) for name, text in own.items()}
    artifact = source.Artifact(conftest.REVISION, "prod", "d", files)
    recipe = interfaces.Recipe("web", "prod", "prod", {"libraries": ["lib", "../vendor"]})

    assert jsonnet.JsonnetRenderer().beside(artifact, recipe) == {"shared/names.libsonnet", "vendor"}


async def test_all_programs_of_a_folder_or_the_one_that_is_named(render_jsonnet: conftest.Render) -> None:
    one = "{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'one' } }"
    asks = "function(name='x', replicas=1) [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: name + replicas } }]"
    files = {"app/one.jsonnet": one, "app/two.jsonnet": asks, "app/deeper/three.jsonnet": "error 'never'"}

    both = await render_jsonnet(files, "app", arguments={})
    named = await render_jsonnet(files, "app", main="two.jsonnet", arguments={"name": "y", "replicas": 3})

    assert names(both) == [("ServiceAccount", "one"), ("Namespace", "x1")]
    assert names(named) == [("Namespace", "y3")]


async def test_what_was_encrypted_is_secret(render_jsonnet: conftest.Render) -> None:
    """So is every object of a program that imports it, and nobody reads it in an error."""
    encrypted = b"ENC[" + b"a: hunter2hunter2"[::-1]
    program = "local s = importstr 'values.txt'; [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data: { s: s } }]"
    files: dict[str, str | bytes] = {"app/main.jsonnet": program, "app/values.txt": encrypted}

    found = await render_jsonnet(files, "app", Reversed())
    with pytest.raises(errors.RenderFailed) as caught:
        await render_jsonnet({**files, "app/main.jsonnet": "error importstr 'values.txt'"}, "app", Reversed())

    assert found.documents[0].secret
    assert found.documents[0].data["data"]["s"] == "a: hunter2hunter2"
    assert "hunter2" not in f"{caught.value} {caught.value.why!r}"


@pytest.mark.parametrize(
    "change, settings, place, says, hint",
    [
        ("local a = 1;\n{ a: }", {}, "prod/main.jsonnet:2:6", "STATIC ERROR", ""),
        ("{\n  a: error 'no way' }", {}, "prod/main.jsonnet:2:6", "no way", ""),
        ("import 'nope.libsonnet'", {}, "prod/main.jsonnet:1:1", "no such file", "renderer.libraries"),
        ("importstr '../elsewhere/../../../etc/passwd'", {}, "prod/main.jsonnet", "no such file", ""),
        ("importstr '/etc/passwd'", {}, "prod/main.jsonnet", "no such file", ""),
        ("std.extVar('nix')", {}, "prod/main.jsonnet:1:1", "nix", "renderer.variables"),
        ("function(a) a", {}, "prod/main.jsonnet", "not bound", "renderer.arguments"),
        ("local f(x) = f(x + 1) + 1; f(0)", {}, "prod/main.jsonnet:1", "max stack", ""),
        ("{ a: { b: 1 } }", {}, "prod/main.jsonnet", "at a.b there is neither", "::"),
        ("{}", {"main": "mian.jsonnet"}, "prod", "", "main.jsonnet"),
        ("{}", {"libary": []}, "", "not a setting", "libraries"),
        ("{}", {"libraries": "lib"}, "", "cannot be used", "list"),
        ("{}", {"variables": []}, "", "cannot be used", "{name: value}"),
        ("{}", {"main": 1}, "", "cannot be used", ".jsonnet"),
    ],
)
async def test_what_cannot_be_evaluated_is_told(
    change: str, settings: dict[str, Any], place: str, says: str, hint: str, render_jsonnet: conftest.Render
) -> None:
    with pytest.raises(errors.RenderFailed) as caught:
        await render_jsonnet({**FILES, "prod/main.jsonnet": change}, "prod", **settings)

    assert str(caught.value.origin or "").startswith(place), caught.value
    assert says in f"{caught.value.what} {caught.value.why}"
    assert hint in caught.value.hint


async def test_a_folder_without_a_program(render_jsonnet: conftest.Render) -> None:
    with pytest.raises(errors.RenderFailed, match="has no file"):
        await render_jsonnet(FILES, "shared")


async def test_a_program_that_never_ends_is_ended(
    render_jsonnet: conftest.Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "LIMITS", process.Limits(timeout=1.0))
    program = "local f(n) = if n < 2 then 1 else f(n - 1) + f(n - 2); [f(90)]"

    with pytest.raises(errors.RenderTimeout, match="was ended"):
        await render_jsonnet({"app/main.jsonnet": program}, "app")
