"""What is published beside the application's own files: ConfigMaps of files, the stage's Namespace, an Application."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import yaml
from undrift.model import delivery, source
from undrift.publishing import gathering, tree

CONFIG_MAP_KEYS: Final = ("configMap", "configMapRef", "configMapKeyRef")
APPLICATION: Final = "application.yaml"
_LARGEST: Final = 1 << 20
"""What a Kubernetes API server takes: 1 MiB of values."""
_LINE: Final = 70
_LONGEST_NAME: Final = 63
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_ADOPT: Final = "undrift.dev/adopt"
_SAFE: Final = str.maketrans({"0": "g", "1": "h", "3": "k", "a": "m", "e": "t"})
_ESCAPED: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


async def config_maps(made: tree.Tree, pantry: gathering.Pantry) -> dict[str, str]:
    """Add the stage's ConfigMaps. Returns the names that they got, by those that were declared.

    Raises `StageMissing`, `RenderFailed`, `SourceError`s, all at once.
    """
    renamed: dict[str, str] = {}
    wrong: list[errors.UndriftError] = []
    for index, one in enumerate(pantry.stage.config_maps):
        if one.stages and pantry.stage.name not in one.stages:
            continue
        label = f"configMapGenerator[{index}]"
        try:
            content = await _contents(one, pantry, label)
            document = config_map(one, content, pantry.stage.namespace)
        except errors.UndriftError as error:
            wrong += error.parts
            continue
        name = f"configmap-{one.name}.yaml"
        made.add(
            page(name, document, one.origin or errors.Origin(posixpath.normpath(pantry.stage.recipe.path)))
        )
        renamed[one.name] = document["metadata"]["name"]
    if wrong:
        raise errors.gather(wrong)
    return renamed


def config_map(one: delivery.ConfigMap, content: Mapping[str, bytes], namespace: str = "") -> dict[str, Any]:
    """The document of a ConfigMap: text in `data`, everything else in `binaryData`. Raises `RenderFailed` over 1 MiB."""
    size = sum(len(value) for value in content.values())
    if size > _LARGEST:
        largest = max(content, key=lambda key: len(content[key]))
        raise errors.RenderFailed(
            f"ConfigMap {one.name} would hold {size} bytes",
            origin=one.origin,
            why=f"Kubernetes takes {_LARGEST} at most; {largest} has {len(content[largest])}",
            hint="split it, or put the content into an image or a volume",
        )
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key in sorted(content):
        try:
            data[key] = content[key].decode()
        except UnicodeDecodeError:
            binary[key] = _base64(content[key])
    name = f"{one.name}-{name_suffix(data, binary)}" if one.suffix else one.name
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return document | ({"data": data} if data else {}) | ({"binaryData": binary} if binary else {})


def name_suffix(data: Mapping[str, str], binary: Mapping[str, str]) -> str:
    """The suffix that Kustomize gives a ConfigMap of this content.

    Ten digits of the SHA-256 of the content as Go writes JSON (keys sorted; `<`, `>` and `&` escaped), with letters
    that form no words (kustomize, api/hasher). The name is not part of it, though it was meant to be: what Kustomize
    looks up as name is never there.
    """
    whole: dict[str, Any] = {"data": data or "", "kind": "ConfigMap", "name": ""}
    if binary:
        whole["binaryData"] = binary
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).translate(_ESCAPED)
    return hashlib.sha256(text.encode()).hexdigest()[:10].translate(_SAFE)


def page(name: str, document: Mapping[str, Any], origin: errors.Origin) -> tree.Page:
    """A page of one document of ours."""
    content = yaml.dump(dict(document)).encode()
    place = tree.Place(origin.file, {(): (origin.line or 1, origin.column or 1)})
    return tree.Page(name, source.File(content), origin.file, [dict(document)], [place])


def namespace(made: tree.Tree, application: str, stage: delivery.Stage) -> None:
    """Add the stage's Namespace, its quota, and the pull secret of its default account, where they are asked for."""
    settings, origin = stage.namespace_settings, stage.origin or errors.Origin("undrift.yaml")
    if settings is None:
        return
    for name, document in _namespace(application, stage.namespace, settings):
        made.add(page(f"undrift-{name}.yaml", document, origin))


def _namespace(
    application: str, name: str, settings: delivery.NamespaceSettings
) -> Iterator[tuple[str, dict[str, Any]]]:
    metadata: dict[str, Any] = {"name": name}
    metadata |= {"labels": dict(settings.labels)} if settings.labels else {}
    metadata |= {"annotations": dict(settings.annotations)} if settings.annotations else {}
    yield "namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    if settings.quota:
        quota = {"metadata": {"name": application, "namespace": name}, "spec": {"hard": dict(settings.quota)}}
        yield "quota", {"apiVersion": "v1", "kind": "ResourceQuota", **quota}
    if settings.pull_secret:
        # Kubernetes makes this account with the namespace: that it is there already is no accident.
        account = {"name": "default", "namespace": name, "annotations": {_ADOPT: "true"}}
        secrets = {"imagePullSecrets": [{"name": settings.pull_secret}]}
        yield (
            "service-account",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account, **secrets},
        )


def application(made: tree.Tree, name: str, stage: delivery.Stage) -> None:
    """Add the document that makes an agent apply the stage, where it has a target."""
    if not stage.target:
        return
    spec: dict[str, Any] = {"source": {"path": stage.folder}, "target": stage.target}
    spec |= {"namespace": stage.namespace} if stage.namespace else {}
    spec |= {"policy": dict(stage.policy)} if stage.policy else {}
    document = {
        "apiVersion": "undrift.dev/v1",
        "kind": "Application",
        "metadata": {"name": application_name(name, stage.name)},
        "spec": spec,
    }
    file = APPLICATION if APPLICATION not in made.pages else f"undrift-{APPLICATION}"
    made.add(page(file, document, stage.origin or errors.Origin("undrift.yaml")))


def application_name(application: str, stage: str) -> str:
    """The name of the Application of a stage: `<application>-<stage>`, cut in the middle where that is too long."""
    name = f"{application}-{stage}"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{application[: _LONGEST_NAME - len(digest) - len(stage) - 2].rstrip('-.')}-{digest}-{stage}"


async def _contents(one: delivery.ConfigMap, pantry: gathering.Pantry, label: str) -> dict[str, bytes]:
    """Key → content, of files, folders (the files in them) and literals."""
    content: dict[str, bytes] = {}
    for declared in one.files:
        key, equals, path = declared.partition("=")
        artifact = await pantry.fetch(path if equals else declared, field=label)
        found = _files(artifact)
        if equals and not artifact.single:
            raise errors.RenderFailed(
                f"{label}: {path} is a folder", origin=one.origin, hint="name a file, or leave the key out"
            )
        for name, file in found.items():
            _put(content, key if equals else name, file.content, one, label)
    for key, text in one.literals.items():
        _put(content, key, text.encode(), one, label)
    return content


def _files(artifact: source.Artifact) -> dict[str, source.File]:
    """The files in a folder itself, links read."""
    if artifact.single:
        return dict(artifact.files)
    found: dict[str, source.File] = {}
    for name, file in sorted(artifact.files.items()):
        if "/" in name or name.startswith("."):
            continue
        real: source.File | None = file
        if file.kind is source.FileKind.LINK:
            real = artifact.files.get(posixpath.normpath(file.content.decode("utf-8", "surrogateescape")))
        if real is not None:
            found[name] = real
    return found


def _put(content: dict[str, bytes], key: str, value: bytes, one: delivery.ConfigMap, label: str) -> None:
    if not _KEY.fullmatch(key):
        raise errors.RenderFailed(
            f"{label}: {key!r} cannot be a key of ConfigMap {one.name}",
            origin=one.origin,
            why="Kubernetes takes letters, digits, '-', '_' and '.'",
            hint="give it another key: key=path",
        )
    if key in content:
        raise errors.RenderFailed(
            f"{label}: the key {key} of ConfigMap {one.name} is there twice",
            origin=one.origin,
            hint="give one of them another key: key=path",
        )
    content[key] = value


def _base64(value: bytes) -> str:
    """In lines of 70 where there is more than one, as Kustomize writes it: they are part of what its suffix names."""
    text = base64.b64encode(value).decode()
    if len(text) < _LINE:
        return text
    return "".join(f"{text[at : at + _LINE]}\n" for at in range(0, len(text), _LINE))
