"""Sending messages: in order, one receiver beside another, and never given up too soon."""

from __future__ import annotations

import asyncio
import types
from collections import defaultdict
from collections.abc import Callable
from typing import Any, cast

import looptime
import pytest

from undrift import errors
from undrift.agent import outbox, world
from undrift.model import event, notifier, source

NOTIFIERS = {
    name: notifier.Notifier(name, name, source.Credential(env="URL")) for name in ("good", "hung", "dead")
}


class Messages:
    """The outbox of a database, on the loop's clock."""

    def __init__(self, *names: str) -> None:
        self.waiting: list[dict[str, Any]] = [
            {
                "key": f"{name}-{n}",
                "notifier": name,
                "document": {"kind": "Failed"},
                "attempts": 0,
                "due": 0.0,
            }
            for n in range(3)
            for name in names
        ]

    def _due(self) -> list[dict[str, Any]]:
        now = asyncio.get_running_loop().time()
        return sorted((one for one in self.waiting if one["due"] <= now), key=lambda one: float(one["due"]))

    async def receivers(self) -> frozenset[str]:
        return frozenset(one["notifier"] for one in self._due())

    async def take(self, name: str, seconds: float) -> dict[str, Any] | None:
        found = next((one for one in self._due() if one["notifier"] == name), None)
        if found is not None:
            found["due"] = asyncio.get_running_loop().time() + seconds
        return found

    async def delivered(self, key: str, name: str) -> None:
        self.waiting = [one for one in self.waiting if (one["key"], one["notifier"]) != (key, name)]

    async def postpone(self, key: str, name: str, seconds: float) -> None:
        for one in self.waiting:
            if one["key"] == key:
                one["due"] = asyncio.get_running_loop().time() + seconds
                one["attempts"] += 1


class Receiver:
    """Takes messages, refuses them, or never answers."""

    def __init__(self, kind: str, heard: dict[str, list[tuple[float, str]]]) -> None:
        self.kind = kind
        self.heard = heard[kind]

    async def send(self, _: event.Event, text: str, key: str) -> None:
        self.heard.append((asyncio.get_running_loop().time(), key))
        if self.kind == "hung":
            await asyncio.Event().wait()
        if self.kind == "dead":
            raise errors.TargetUnavailable("refused")


def sent(messages: Messages, declared: tuple[str, ...], seconds: float) -> dict[str, list[tuple[float, str]]]:
    """What receivers heard, and when, in so many seconds of turned clock."""
    heard: dict[str, list[tuple[float, str]]] = defaultdict(list)

    async def resolve(_: object) -> str:
        return "http://receiver"

    make: Callable[[str, str], Receiver] = lambda kind, _: Receiver(kind, heard)  # noqa: E731 - one word
    shared = types.SimpleNamespace(
        database=messages,
        configuration=types.SimpleNamespace(notifiers={name: NOTIFIERS[name] for name in declared}),
        secrets=types.SimpleNamespace(resolve=resolve),
        registry=types.SimpleNamespace(notifier=make),
    )

    async def story() -> None:
        try:
            async with asyncio.timeout(seconds):
                await outbox.Outbox(cast("world.Shared", shared)).run()
        except TimeoutError:
            pass

    loop = looptime.new_event_loop()
    try:
        loop.run_until_complete(story())
    finally:
        loop.close()
    return heard


def test_one_that_hangs_holds_up_no_other() -> None:
    """And what it did not take is still there."""
    messages = Messages("hung", "good")
    heard = sent(messages, ("hung", "good"), 5)
    assert [key for _, key in heard["good"]] == ["good-0", "good-1", "good-2"]
    assert len(heard["hung"]) == 1
    assert len(messages.waiting) == 3


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for messages every few minutes only: a million turns of the clock take their time, too."""
    monkeypatch.setattr(outbox, "_PAUSE", 300.0)


@pytest.mark.usefixtures("seldom")
def test_one_that_is_dead_is_asked_less_and_less_often() -> None:
    messages = Messages("dead")
    heard = sent(messages, ("dead",), 24 * 3600)
    times = [when for when, _ in heard["dead"]]
    assert len(messages.waiting) == 3
    assert 40 < len(times) < 200
    assert times[-1] - times[-4] > 600


@pytest.mark.usefixtures("seldom")
def test_a_message_is_given_up_after_a_week_or_so() -> None:
    messages = Messages("dead")
    sent(messages, ("dead",), 12 * 24 * 3600)
    assert messages.waiting == []


def test_messages_to_nobody_go() -> None:
    """The notifier left Git before its message was sent."""
    messages = Messages("dead")
    assert sent(messages, ("good",), 5) == {}
    assert messages.waiting == []
