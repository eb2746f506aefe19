"""The form of a manifest: `apiVersion: undrift.dev/hosts/v1`, `kind: Host`."""

from __future__ import annotations

from typing import Any, Final, Literal

import pydantic

from undrift.providers.hosts import documents
from undrift.providers.hosts.system import declaration

API_VERSION: Final = "undrift.dev/hosts/v1"
KIND: Final = "Host"


class Spec(declaration.Lists):
    """Everything that is declared; `vars` are for templates."""

    vars: dict[documents.Variable, Any] = pydantic.Field(default_factory=dict)
    files: tuple[documents.File, ...] = ()
    directories: tuple[documents.Directory, ...] = ()
    links: tuple[documents.Link, ...] = ()
    blocks: tuple[documents.Block, ...] = ()
    archives: tuple[documents.Archive, ...] = ()
    services: tuple[documents.Service, ...] = ()
    commands: tuple[documents.Once, ...] = ()


class Metadata(documents.Part):
    """Words for people; no part of any identity."""

    name: documents.Word | None = None
    labels: dict[documents.Word, documents.Text] = pydantic.Field(default_factory=dict)


class Host(documents.Part):
    """One manifest."""

    api_version: Literal["undrift.dev/hosts/v1"]
    kind: Literal["Host"]
    metadata: Metadata = Metadata()
    spec: Spec
