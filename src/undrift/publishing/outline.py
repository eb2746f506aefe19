"""What `undrift init` has learned of an application, before it is written down as `undrift.yaml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

PLACEHOLDER: Final = "CHANGE-ME"
"""Stands where the URL of the GitOps repository belongs; no reader takes it for one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A stage: `publish` is `direct` or `pull-request`; `more` are its other fields; `remarks` are told beside it."""

    name: str
    publish: str
    namespace: str = ""
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image to set. `seen` says where it was found; one that is not `ours` is written as a comment."""

    name: str
    fields: Mapping[str, str]
    seen: str = ""
    ours: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Outline:
    """A delivery to be. `source` is one renderer with its settings; `seen` says what was found, `remarks` what a
    person should know of it; `spec` are fields of the document that have no place of their own here.
    """

    application: str
    source: tuple[str, Mapping[str, Any]]
    stages: tuple[Step, ...]
    url: str = ""
    branch: str = "main"
    folder: str = "{stage}/{application}"
    forge: str = ""
    seen: str = ""
    images: tuple[Image, ...] = ()
    spec: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Guess:
    """A source: the renderer, its settings with `{stage}`, the stages by name and what each says itself."""

    renderer: str
    settings: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]
    seen: str
    places: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Stage → the folder with its manifests."""
    images: tuple[Image, ...] = ()
    remarks: tuple[str, ...] = ()
