"""Deliveries with rendered stages, as small as a test needs them."""

from __future__ import annotations

import asyncio
import datetime
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from undrift import errors
from undrift.lib import yaml
from undrift.model import delivery, publication, source
from undrift.publishing import validating

TODAY = datetime.date(2027, 1, 31)


def stage(name: str = "staging", **more: Any) -> delivery.Stage:
    """A stage of manifests in k8s/, in a namespace of its own name, for Kubernetes 1.33."""
    known: dict[str, Any] = {
        "recipe": delivery.Recipe("manifests", "k8s"),
        "namespace": name,
        "folder": f"{name}/petclinic",
        "kube_version": "1.33",
    }
    return delivery.Stage(name, **{**known, **more})


def declared(
    *kinds: str | tuple[str, Mapping[str, Any]],
    stages: Sequence[delivery.Stage] = (),
    waivers: Sequence[delivery.Waiver] = (),
) -> delivery.Delivery:
    """A delivery of petclinic with these validators: a kind, or a kind with settings."""
    validators = [
        delivery.Validator(one, {}, errors.Origin("undrift.yaml", 9))
        if isinstance(one, str)
        else delivery.Validator(one[0], one[1], errors.Origin("undrift.yaml", 9))
        for one in kinds
    ]
    return delivery.Delivery(
        "petclinic",
        delivery.Destination("https://forge.example/ops/gitops.git"),
        tuple(stages) or (stage(),),
        tuple(validators),
        tuple(waivers),
    )


def rendition(
    text: str,
    where: delivery.Stage | None = None,
    *,
    file: str = "all.yaml",
    encrypted: bool = False,
    files: Mapping[str, bytes] | None = None,
) -> publication.Rendition:
    """A stage with the resources of one file, k8s/<file> in the source."""
    content = {file: text.encode(), **(files or {})} if text else dict(files or {})
    resources = tuple(
        publication.ResourceFile(
            one.data, file, errors.Origin(f"k8s/{file}", one.line, 1), one.positions, encrypted
        )
        for one in yaml.documents(text)
    )
    published = {name: source.File(one) for name, one in content.items()}
    return publication.Rendition(where or stage(), published, resources)


def found(
    kind: str | tuple[str, Mapping[str, Any]],
    text: str,
    *,
    folder: pathlib.Path | None = None,
    **more: Any,
) -> publication.Findings:
    """What one validator finds in one stage with these resources."""
    where = more.pop("where", None) or stage()
    made = rendition(text, where, **more)
    return run(declared(kind, stages=[where]), [made], folder)


def run(
    made: delivery.Delivery, renditions: Sequence[publication.Rendition], folder: pathlib.Path | None = None
) -> publication.Findings:
    """What all validators find."""
    return asyncio.run(validating.validate(made, renditions, today=TODAY, folder=folder))


def lines(some: Sequence[errors.UndriftError]) -> list[str]:
    """Errors as code, place and text."""
    return [f"{one.code} {one.origin}: {one.what}" for one in some]


def write(folder: pathlib.Path, files: Mapping[str, str]) -> pathlib.Path:
    """The folder, with these files in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder
