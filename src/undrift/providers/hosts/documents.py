"""The manifest of a host as it is written in Git: `apiVersion: undrift.dev/hosts/v1`, `kind: Host`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import alias_generators

API_VERSION = "undrift.dev/hosts/v1"
KIND = "Host"
Mode = Annotated[str, pydantic.StringConstraints(pattern=r"^0?[0-7]{3,4}$")]
Text = Annotated[str, pydantic.StringConstraints(min_length=1)]


class _Part(pydantic.BaseModel):
    """Unknown fields are refused; names are written in camelCase."""

    model_config = pydantic.ConfigDict(
        extra="forbid", alias_generator=alias_generators.to_camel, populate_by_name=False, frozen=True
    )


class _Item(_Part):
    """What every resource may say."""

    wave: int = 0
    depends_on: tuple[str, ...] = ()
    protected: bool = False
    adopt: bool = False


class _Placed(_Item):
    """A resource at a path."""

    path: Text
    moved_from: str = ""
    owner: str = ""
    group: str = ""


class File(_Placed):
    """A file: from `source` (a file beside the manifest), `content`, or a Jinja2 `template`."""

    source: str = ""
    content: str | None = None
    template: str = ""
    vars: dict[str, Any] = {}
    mode: Mode = "0644"

    @pydantic.model_validator(mode="after")
    def _one_origin(self) -> File:
        given = [bool(self.source), self.content is not None, bool(self.template)]
        if sum(given) != 1:
            msg = "say exactly one of source, content and template"
            raise ValueError(msg)
        return self


class Directory(_Placed):
    """A directory; with `source` every file below that folder is a resource of its own."""

    source: str = ""
    mode: Mode = "0755"
    file_mode: Mode = "0644"


class Link(_Item):
    """A symbolic link."""

    path: Text
    to: Text
    moved_from: str = ""


class Block(_Item):
    """Lines of ours in a file that is somebody else's, between two marker lines."""

    path: Text
    name: Text
    content: str | None = None
    source: str = ""
    comment: str = "#"

    @pydantic.model_validator(mode="after")
    def _one_origin(self) -> Block:
        if (self.content is None) == (not self.source):
            msg = "say exactly one of source and content"
            raise ValueError(msg)
        return self


class Archive(_Item):
    """An archive (tar or zip) unpacked into a directory that is ours alone."""

    path: Text
    source: Text
    strip: Annotated[int, pydantic.Field(ge=0, le=10)] = 0


class Probe(_Part):
    """How to tell that a service does its work: one of `http`, `tcp`, `command`."""

    http: str = ""
    tcp: int = 0
    command: tuple[str, ...] = ()
    within: Annotated[float, pydantic.Field(gt=0, le=60)] = 2.0


class Service(_Item):
    """A process that is kept running: a systemd unit, or a program under supervisor."""

    name: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_.@-]+$")]
    manager: Literal["auto", "systemd", "supervisor"] = "auto"
    command: tuple[Text, ...] = ()
    directory: str = ""
    environment: dict[str, str] = {}
    user: str = ""
    restart_on: tuple[str, ...] = ()
    reload_on: tuple[str, ...] = ()
    restarted_at: str = ""
    state: Literal["running", "stopped"] = "running"
    enabled: bool = True
    health: Probe | None = None


class Command(_Item):
    """A one-off: run once for each value of `runAgain`."""

    name: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_.@-]+$")]
    command: Annotated[tuple[Text, ...], pydantic.Field(min_length=1)]
    directory: str = ""
    run_again: str = ""
    timeout: Annotated[float, pydantic.Field(gt=0, le=3600)] = 300.0


class Spec(_Part):
    """What a host has."""

    vars: dict[str, Any] = {}
    files: tuple[File, ...] = ()
    directories: tuple[Directory, ...] = ()
    links: tuple[Link, ...] = ()
    blocks: tuple[Block, ...] = ()
    archives: tuple[Archive, ...] = ()
    services: tuple[Service, ...] = ()
    commands: tuple[Command, ...] = ()


class Host(_Part):
    """One manifest."""

    api_version: Literal["undrift.dev/hosts/v1"]
    kind: Literal["Host"]
    metadata: dict[str, Any] = {}
    spec: Spec


class Settings(_Part):
    """Settings of a `Target` of this provider."""

    root: str = "/"
    state: str = ""
