"""How a machine is reached: looking and changing in batches. What is looked at and why is nobody's matter here.

Paths begin at the target's root. Nothing leads out of it: a path whose folders are links that leave the root is
refused with `PathEscapes`, and the last step of a path is never followed.
"""

from __future__ import annotations

import dataclasses
import enum
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from undrift.lib import process


class Sort(enum.StrEnum):
    """What there is at a path, as people say it."""

    FILE = "a file"
    DIRECTORY = "a directory"
    LINK = "a symbolic link"
    OTHER = "a special file"


class Need(enum.Flag):
    """What a look should find out beyond what is cheap."""

    NOTHING = 0
    DIGEST = enum.auto()
    CONTENT = enum.auto()
    ENTRIES = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What there is at a path. `digest` (`sha256:…`) and `content` of files, `points_to` of links,
    `entries` (names) of directories; each only where it was needed.
    """

    sort: Sort
    mode: int
    owner: str
    group: str
    size: int = 0
    points_to: str = ""
    digest: str = ""
    content: bytes | None = dataclasses.field(default=None, repr=False)
    entries: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Attributes:
    """Mode (bits), owner and group (names or numbers); None = as it comes."""

    mode: int | None = None
    owner: str | None = None
    group: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """Make a file with all of its content at once; with `replace` in the place of what is there, else exclusively."""

    path: str
    content: bytes = dataclasses.field(repr=False)
    attributes: Attributes = Attributes()
    replace: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a directory exclusively."""

    path: str
    attributes: Attributes = Attributes()


@dataclasses.dataclass(frozen=True, slots=True)
class MakeLink:
    """Make a symbolic link; with `replace` in the place of what is there, else exclusively."""

    path: str
    points_to: str
    replace: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Alter:
    """Set the attributes of a file or directory."""

    path: str
    attributes: Attributes


@dataclasses.dataclass(frozen=True, slots=True)
class Remove:
    """Remove what is at a path (a directory only when it is empty); nothing there is fine."""

    path: str
    sort: Sort


def unfinished(path: str) -> str:
    """Where a file is written before it gets its name: always the same place, so that nothing piles up there."""
    above, name = posixpath.split(path)
    return posixpath.join(above, f".{name[:200]}.undrift")


Step = Write | MakeDirectory | MakeLink | Alter | Remove


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A program to run: `directory` begins at the root, `environment` is added to that of the agent."""

    command: tuple[str, ...]
    directory: str = "/"
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    timeout: float = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """A POSIX shell program of ours that looks and changes nothing; it gets `words` as $1, $2 ….

    `script` is a constant: what a manifest or a machine says is in `words`, never in the program itself.
    """

    script: str
    words: tuple[str, ...] = ()
    timeout: float = 60.0


class Transport(Protocol):
    """One machine. Raises `TargetError`s only."""

    async def discover(self) -> Mapping[str, Any]:
        """What the machine is: hostname, os, arch, user."""
        ...

    async def look(self, wanted: Mapping[str, Need]) -> Mapping[str, Seen]:
        """What there is at each path; a path that is missing in the answer is missing on the machine.

        One batch, whatever the number of paths. What cannot be looked at raises: it is not absent.
        """
        ...

    async def survey(
        self, wanted: Mapping[str, Need], questions: Sequence[Question]
    ) -> tuple[Mapping[str, Seen], Sequence[process.Completed]]:
        """A look and the answers to questions (in their order), in one round trip whatever their number.

        How a question's program ended is for who asked to judge; one that took too long raises.
        """
        ...

    async def change(self, steps: Sequence[Step]) -> Sequence[str]:
        """Carry out the steps in order until one fails; each is whole or not done at all, and durable.

        Missing parent folders are made (0755) and told. Raises `ChangeConflict` where something is there
        that an exclusive step would replace.
        """
        ...

    async def run(self, order: Order) -> process.Completed:
        """Run a program to its end. Raises `ChangeRefused` where there is none, `OutcomeUnknown` when late."""
        ...


@runtime_checkable
class Reachable(Transport, Protocol):
    """A machine that is elsewhere: there is a way to it, which a change can close."""

    @property
    def user(self) -> str:
        """Who we sign in as."""
        ...

    async def reach(self, seconds: float) -> None:
        """Get in by a new connection, trying for so long. Raises `TargetUnavailable`."""
        ...

    async def knock(self, address: str, port: int, say: bytes = b"") -> bytes:
        """Connect to a server as the machine itself would; what it answers to `say`, one line.

        Raises `OSError` where nobody answers, and `TargetError`s of the machine.
        """
        ...
