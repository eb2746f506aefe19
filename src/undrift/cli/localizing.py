"""The local stage of a delivery onto a cluster or folder of one's own: rendered as CI would, applied as an agent would.

Nothing is written to Git. What is applied goes through the engine like everything else, under an agent's name of its
own, so that an agent that serves the same cluster never takes it for its own.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.cli import offline
from undrift.config import part
from undrift.lib import yaml
from undrift.model import delivery, publication, record, source
from undrift.publishing import preparing, tree

AGENT: Final = "undrift-local"
_HOSTS: Final = "undrift.dev/hosts/"
_OWN: Final = ".undrift"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be applied: `context` of the kubeconfig ("": its own); `delete` takes all of it away again.

    `root` is the folder that stands for a host.
    """

    context: str = ""
    delete: bool = False
    root: pathlib.Path = pathlib.Path(".undrift/local")


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What was applied where, and what validating found before."""

    stage: str
    place: str
    findings: publication.Findings
    told: record.Reconciliation


async def apply(request: preparing.Request, order: Order) -> Applied:
    """Render the local stage from the work tree, check it, and make it true. Raises `ContextForbidden`, what is wrong
    with the delivery, what validating finds, and `TargetError`s.
    """
    opened = await preparing.open_delivery(request)
    local = opened.declared.local
    stage = localized(opened.declared, opened.declared.stage(local.stage))
    prepared = await preparing.complete(dataclasses.replace(opened, stages=(stage,)))
    if prepared.findings.failed and not order.delete:
        raise errors.gather(prepared.findings.failed)
    [rendition] = prepared.renditions
    provider, settings, place = _target(opened.declared, rendition, order)
    files = {} if order.delete else rendition.files
    with tempfile.TemporaryDirectory(prefix="undrift-local-") as name:
        folder = pathlib.Path(name)
        application = f"{opened.declared.application}-local"
        _write(folder, files, _documents(application, stage, provider, settings))
        told = await offline.apply(folder, ".", application)
    return Applied(stage.name, place, prepared.findings, told)


def localized(declared: delivery.Delivery, stage: delivery.Stage) -> delivery.Stage:
    """The stage with what is other locally; its Application is the agent's matter, not ours."""
    images = {one.name: one for one in (*stage.images, *declared.local.images)}
    values = (*stage.values, *declared.local.values)
    return dataclasses.replace(stage, images=tuple(images.values()), values=values, target="", policy={})


def _target(
    declared: delivery.Delivery, rendition: publication.Rendition, order: Order
) -> tuple[str, dict[str, Any], str]:
    """The provider, its settings, and how people call the place."""
    versions = set(_versions(rendition))
    if versions and all(version.startswith(_HOSTS) for version in versions):
        root = order.root.absolute()
        root.mkdir(parents=True, exist_ok=True)
        if root.parent.name == _OWN:
            (root.parent / ".gitignore").write_text("*\n")
        return "hosts", {"root": str(root)}, str(root)
    if not rendition.resources:
        raise errors.UsageInvalid(
            f"what {declared.application} is made of cannot be applied here",
            why="it is neither for Kubernetes nor for hosts",
            hint="use undrift render --into FOLDER, and the tool of that layer",
        )
    context = order.context or context_of(os.environ)
    if not any(fnmatch.fnmatchcase(context, one) for one in declared.local.contexts):
        raise errors.ContextForbidden(
            f"context {context or '(none)'} may not be touched",
            why=f"local.contexts are {', '.join(declared.local.contexts)}",
            hint=f"switch the context, or add it to local.contexts in {declared.file}",
        )
    return "kubernetes", {"context": context}, context


def _versions(rendition: publication.Rendition) -> Iterator[str]:
    """The `apiVersion` of every document; those for hosts are no resources of Kubernetes."""
    for name, file in rendition.files.items():
        if tree.is_manifest(name) and file.kind is not source.FileKind.LINK:
            for one in yaml.documents(file.content, name):
                if isinstance(one.data, Mapping):
                    yield str(one.data.get("apiVersion"))


def context_of(environ: Mapping[str, str]) -> str:
    """The context that the kubeconfig names; "" for none. As kubectl: the first file that names one counts."""
    named = environ.get("KUBECONFIG", "") or str(pathlib.Path("~/.kube/config").expanduser())
    for name in filter(None, named.split(os.pathsep)):
        path = pathlib.Path(name).expanduser()
        try:
            found = yaml.documents(path.read_bytes(), str(path)) if path.is_file() else []
        except yaml.YamlError:
            continue
        for one in found:
            if isinstance(one.data, dict) and one.data.get("current-context"):
                return str(one.data["current-context"])
    return ""


def _documents(
    application: str, stage: delivery.Stage, provider: str, settings: dict[str, Any]
) -> Sequence[dict[str, Any]]:
    """The configuration of an agent that has this one application."""
    about = {"apiVersion": part.API_VERSION}
    policy = {
        "allowEmpty": True,
        "deletionLimit": {"count": 100_000, "percent": 100},
        "deleteProtected": ["*"],
    }
    return [
        {**about, "kind": "Agent", "metadata": {"name": AGENT}},
        {
            **about,
            "kind": "Target",
            "metadata": {"name": "local"},
            "spec": {"provider": provider, "agent": AGENT, "settings": settings},
        },
        {
            **about,
            "kind": "Application",
            "metadata": {"name": application},
            "spec": {
                "source": {"path": "files"},
                "target": "local",
                "policy": policy,
                **({"namespace": stage.namespace} if provider == "kubernetes" else {}),
            },
        },
    ]


def _write(folder: pathlib.Path, files: Any, documents: Sequence[dict[str, Any]]) -> None:
    (folder / "undrift.yaml").write_text("---\n".join(yaml.dump(one) for one in documents))
    (folder / "files").mkdir()
    for name, file in files.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.kind is source.FileKind.LINK:
            path.symlink_to(file.content.decode())
        else:
            path.write_bytes(file.content)
            path.chmod(0o755 if file.kind is source.FileKind.EXECUTABLE else 0o644)
