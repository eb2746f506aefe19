"""What the conformance suite needs of a kind of forge: one repository, and people who do things there without us.

A kind has a module in `stands/` with an async context manager `opened(server) -> Stand` (`server` is None but for the
real Gitea); conftest finds it there. What people do and what the oracle reads goes to the forge itself; the adapter under test goes
through the relay.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

from tests.conformance.forges import relay
from undrift import interfaces


@dataclasses.dataclass(frozen=True)
class Seen:
    """A pull request as an independent client reads it; `state` is open, merged or closed."""

    title: str
    body: str
    state: str
    head: str
    base: str
    draft: bool = False
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()


class Stand(Protocol):
    """One repository with a branch main, fresh for each test.

    `forge` is the adapter, signed in as `bot` with one of `secrets`; `fellow` and `stranger` are two more people, of
    whom `fellow` may push. `methods` are the ways to merge that the forge knows, in the words of our interface.
    """

    forge: interfaces.Forge
    relay: relay.Relay
    bot: str
    fellow: str
    secrets: tuple[str, ...]
    methods: tuple[str, ...]

    async def branch(self, name: str) -> str:
        """Make a branch that is one commit ahead of main; the id of that commit."""
        ...

    async def push(self, name: str) -> str:
        """Another commit on a branch that is there, changing files; its id."""
        ...

    async def seen(self, number: int) -> Seen:
        """A pull request, read by the oracle."""
        ...

    async def comments(self, number: int) -> list[str]:
        """The comments that people see, oldest first, read by the oracle."""
        ...

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """Context → state (pending, success, failure or error) and description, read by the oracle."""
        ...

    async def opened(self, head: str, base: str, title: str) -> int:
        """The fellow opens a pull request with the oracle; its number."""
        ...

    async def say(self, number: int, text: str) -> None:
        """The fellow comments."""
        ...

    async def merge(self, number: int, method: str) -> None:
        """The fellow merges."""
        ...

    async def shut(self, number: int) -> None:
        """The fellow closes a pull request without merging it."""
        ...

    async def review(self, number: int, *, approve: bool) -> None:
        """The fellow says yes or no."""
        ...

    async def take_back(self, number: int) -> bool:
        """The fellow's word is dismissed or withdrawn; False where the forge knows no such thing."""
        ...

    async def rename_default(self, name: str) -> None:
        """The default branch gets another name."""
        ...
