"""What every facility of a machine can be asked: how it is looked at, what was found, and how it is changed.

All facilities are looked at together, in one round trip: each says which paths and which question it needs. A
facility does not know whose a resource is, nor what is declared: it tells what there is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import process
from undrift.model import health, resource
from undrift.providers.hosts import transport

Notes = Mapping[str, Any]
NOTHING: Final[Notes] = {}
_TAIL: Final = 15
_WAIT: Final = 60.0
_DENIED: Final = (
    "permission denied",
    "operation not permitted",
    "are you root",
    "must be root",
    "only root can",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What a look found: what there is at paths, and how the question's program ended.

    `notes` are what was kept of resources when they were made, `hidden` those whose content is secret.
    """

    seen: Mapping[str, transport.Seen]
    done: process.Completed | None = None
    notes: Mapping[resource.ResourceId, Notes] = dataclasses.field(default_factory=dict)
    hidden: frozenset[resource.ResourceId] = frozenset()

    def lines(self, about: str) -> list[str]:
        """What the program wrote. Raises where it could not look: that is no absence."""
        done = self.done
        if done is None or done.returncode:
            why = tail(done.stderr or done.stdout) if done is not None else ""
            raise _unseen(about, why)
        return done.stdout.decode("utf-8", "surrogateescape").splitlines()

    def text(self, path: str) -> str | None:
        """The content of a file, or None where there is none."""
        seen = self.seen.get(path)
        if seen is None or seen.content is None:
            return None
        return seen.content.decode("utf-8", "surrogateescape")


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """A resource as it is: the fields that a declaration could compare with, and how well it does."""

    fields: Mapping[str, Any]
    health: health.Health = health.HEALTHY


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """One resource to be made: `live` are its fields now (None: there is none).

    `beside` are those of its kind that are made in the same wave, and `notes` what was kept of it. `adopted`: it
    was there before any of us.
    """

    wanted: resource.Resource
    live: resource.Fields | None = None
    beside: Sequence[resource.Resource] = ()
    notes: Notes = dataclasses.field(default_factory=dict)
    adopted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Leave:
    """One resource to be taken away: its fields now, what was kept of it, and what of its kind goes with it."""

    id: resource.ResourceId
    fields: resource.Fields
    notes: Notes = dataclasses.field(default_factory=dict)
    beside: frozenset[resource.ResourceId] = frozenset()


class Facility:
    """One facility of a machine. Raises `TargetError`s only."""

    serves: tuple[str, ...] = ()
    ever: frozenset[str] = frozenset()
    """Kinds of which there is always one on a machine: it counts as a resource once we have set it."""

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """The paths that have to be looked at for these resources."""
        return {}

    def path_of(self, rid: resource.ResourceId) -> str:
        """The file that holds the declared content of a resource, for those that have content; else ""."""
        return ""

    async def ways_in(
        self, host: transport.Transport, rid: resource.ResourceId, user: str
    ) -> tuple[str, ...]:
        """The files that decide whether `user` gets in, where a change of this resource can change that."""
        return ()

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """What has to be asked for these resources; None when paths are enough."""
        return None

    def answer(self, ids: Collection[resource.ResourceId], told: Told) -> Mapping[resource.ResourceId, Known]:
        """Those of `ids` that there are. Raises where it could not be seen."""
        raise NotImplementedError

    async def put(self, host: transport.Transport, order: Order) -> Notes:
        """Make a resource as declared; returns what to keep of it beside what was kept before."""
        raise NotImplementedError

    async def remove(self, host: transport.Transport, gone: Leave) -> None:
        """Take a resource away; one that is not there is fine."""
        raise NotImplementedError


async def run(
    host: transport.Transport,
    command: Sequence[str],
    doing: str,
    *,
    timeout: float = _WAIT,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What a program writes. Raises `TargetDenied`, `ChangeRefused` with its last lines when it fails."""
    done = await attempt(host, command, timeout=timeout, environment=environment)
    if done.returncode:
        raise refusal(doing, done)
    return done.stdout.decode("utf-8", "replace")


async def attempt(
    host: transport.Transport,
    command: Sequence[str],
    *,
    timeout: float = _WAIT,
    environment: Mapping[str, str] | None = None,
) -> process.Completed:
    """How a program ended, with messages in English."""
    order = transport.Order(
        command=tuple(command), timeout=timeout, environment={"LC_ALL": "C", **(environment or {})}
    )
    return await host.run(order)


def refusal(doing: str, done: process.Completed) -> errors.TargetError:
    """The error for a program that failed while `doing` something."""
    why = tail(done.stderr or done.stdout)
    if any(said in why.lower() for said in _DENIED):
        return errors.TargetDenied(f"{doing} is refused", why=why, hint="be root there, or allow sudo")
    return errors.ChangeRefused(f"{doing} failed with exit code {done.returncode}", why=why)


def tail(said: bytes) -> str:
    """The last lines of what a program wrote."""
    return "\n".join(said.decode("utf-8", "replace").strip().splitlines()[-_TAIL:])


def _unseen(about: str, why: str) -> errors.TargetError:
    if any(said in why.lower() for said in _DENIED):
        return errors.TargetDenied(
            f"looking at {about} is refused", why=why, hint="be root there, or allow sudo"
        )
    return errors.TargetUnavailable(f"{about} cannot be looked at", why=why, hint="it is tried again")
