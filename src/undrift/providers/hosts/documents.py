"""The parts of a manifest: its values and the lists of files, services and commands."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any, Final, Literal, LiteralString

import pydantic
import pydantic_core
from pydantic import alias_generators

from undrift.lib import durations

_MODE: Final = re.compile(r"0[0-7]{3,4}")
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.@-]{0,62}[A-Za-z0-9])?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def refuse(kind: LiteralString, said: str, hint: str = "") -> pydantic_core.PydanticCustomError:
    """An error of one field: its type, what is said of it and the next step."""
    return pydantic_core.PydanticCustomError(kind, "{said}", {"said": said, "hint": hint})


def _mode(value: Any) -> int:
    if isinstance(value, str) and _MODE.fullmatch(value):
        return int(value, 8)
    raise refuse("mode", "is not a mode", 'write it as "0644", in quotes')


def _path(value: str) -> str:
    """An absolute path from the target's root, normalised."""
    if not value.startswith("/") or "\0" in value or "\n" in value:
        raise refuse("path", "is not an absolute path", "write it from the target's root, such as /etc/motd")
    if ".." in value.split("/"):
        raise refuse("path", "leads upwards with '..'", "write where it really is")
    return "/" + posixpath.normpath(value).lstrip("/")


def _source(value: str) -> str:
    """A path in the application's folder in Git."""
    clean = posixpath.normpath(value) if value else "."
    if value.startswith("/") or clean == ".." or clean.startswith("../") or "\0" in value or clean == ".":
        raise refuse("source", "is not a path below the application's folder", "write it such as files/motd")
    return clean


def _duration(value: Any) -> float:
    if not isinstance(value, str):
        raise refuse("duration", "is not a duration", f"write it with its unit, such as {value}s")
    try:
        return durations.parse(value)
    except ValueError:
        raise refuse("duration", "is not a duration", "write it as 30s, 5m or 2h") from None


def _name(value: str) -> str:
    if _NAME.fullmatch(value):
        return value
    raise refuse("name", f"{value!r} is not a name", "use up to 64 letters, digits and . _ @ -")


def _variable(value: str) -> str:
    if _VARIABLE.fullmatch(value):
        return value
    raise refuse("variable", f"{value!r} is not the name of a variable", "use letters, digits and _")


def _text(value: Any) -> Any:
    """A word of a command or an environment: a number stands for its text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


Text = Annotated[str, pydantic.Field(strict=True)]
Word = Annotated[str, pydantic.Field(strict=True, min_length=1)]
Flag = Annotated[bool, pydantic.Field(strict=True)]
Count = Annotated[int, pydantic.Field(strict=True)]
Mode = Annotated[int, pydantic.BeforeValidator(_mode)]
Path = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_path)]
Source = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_source)]
Duration = Annotated[float, pydantic.Field(gt=0), pydantic.BeforeValidator(_duration)]
Name = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_name)]
Variable = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_variable)]
Value = Annotated[str, pydantic.Field(strict=True), pydantic.BeforeValidator(_text)]
Command = Annotated[tuple[Value, ...], pydantic.Field(min_length=1)]


class Part(pydantic.BaseModel):
    """A mapping of known fields; anything else in it is an error."""

    model_config = pydantic.ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=alias_generators.to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )


class Item(Part):
    """What everything that is declared may say: its wave and edges, and how it came to be."""

    wave: Count = 0
    depends_on: tuple[Word, ...] = ()
    moved_from: Word | None = None
    protected: Flag = False
    adopt: Flag = False


class Owned(Item):
    """What has a place, a mode and an owner."""

    path: Path
    mode: Mode | None = None
    owner: Word | None = None
    group: Word | None = None


class Filled(Part):
    """What has content: from a file in Git, a text, or a template in Git."""

    source: Source | None = None
    content: Text | None = None
    template: Source | None = None

    @pydantic.model_validator(mode="after")
    def _has_content(self) -> Filled:
        names = ("source", "content", "template")
        found = [name for name in names if getattr(self, name) is not None]
        if len(found) != 1:
            has = "none is there" if not found else f"there are {' and '.join(found)}"
            raise refuse("exactly_one", f"needs exactly one of {', '.join(names)}; {has}")
        return self


class File(Owned, Filled):
    """A file; `check` has to accept its content before it goes live."""

    check: Command | None = None


class Directory(Owned):
    """A directory; with `source`, everything in that folder in Git goes into it."""

    source: Source | None = None


class Link(Item):
    """A symbolic link at `path` to `to`."""

    path: Path
    to: Word


class Block(Item, Filled):
    """Lines of ours in somebody else's file, between two comments."""

    path: Path
    name: Name
    comment: Word = "#"
    check: Command | None = None


class Archive(Item):
    """An archive in Git (tar or zip) whose content goes into the directory `path`."""

    path: Path
    source: Source
    strip: Annotated[int, pydantic.Field(strict=True, ge=0)] = 0
    owner: Word | None = None
    group: Word | None = None


class Health(Part):
    """When a service is healthy beside running; `within` is the time it may take to become so."""

    http: Word | None = None
    tcp: Value | None = None
    command: Command | None = None
    within: Duration = 30.0


class Service(Item):
    """A program that runs all the time. Without `command`: a unit that the system brought along."""

    name: Name
    manager: Literal["auto", "systemd", "supervisor"] = "auto"
    command: Command | None = None
    directory: Path | None = None
    environment: dict[Variable, Value] = pydantic.Field(default_factory=dict)
    user: Word | None = None
    restart_on: tuple[Word, ...] = ()
    reload_on: tuple[Word, ...] = ()
    restarted_at: Value | None = None
    state: Literal["running", "stopped"] = "running"
    enabled: Flag = True
    health: Health | None = None
    confirm: Annotated[Duration, pydantic.Field(le=240)] | Literal[False] | None = None


class Once(Item):
    """A command that runs once, and again when it or `runAgain` changes."""

    name: Name
    command: Command
    directory: Path = "/"
    environment: dict[Variable, Value] = pydantic.Field(default_factory=dict)
    run_again: Value = ""
    timeout: Duration = 60.0
