"""One poll a source: everybody reads what it found, and hears of it once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from tests.unit.agent.test_queue import turn
from undrift import errors
from undrift.agent import polling
from undrift.model import source

DECLARED = source.Source("ops", source.SourceKind.GIT, "https://example.org/ops.git", interval=30.0)


class Script:
    """A source whose answers are written beforehand; the last one stays."""

    def __init__(self, *answers: str | errors.UndriftError) -> None:
        self.answers = list(answers)
        self.asked: list[float] = []

    async def resolve(self) -> source.Revision:
        self.asked.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, errors.UndriftError):
            raise answer
        return source.Revision("main", answer)

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(paths, revision.digest)

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        return source.Artifact(revision, path, revision.digest)

    async def close(self) -> None:
        """Nothing is open."""


async def run(script: Script, seconds: float) -> tuple[polling.Poll, list[str]]:
    """Poll for so long; what was told, in order."""
    told: list[str] = []
    poll = polling.Poll(DECLARED, script)

    async def changed(one: polling.Poll) -> None:
        told.append(one.error.code if one.error else one.revision.digest if one.revision else "")

    task = asyncio.ensure_future(poll.run(changed))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return poll, told


def test_news_are_told_once() -> None:
    _, told = turn(run(Script("1", "1", "2", "2", "2", "3"), 600))

    assert told == ["1", "2", "3"]


def test_it_asks_at_its_interval_give_or_take_a_tenth() -> None:
    script = Script("1")
    turn(run(script, 3000))
    pauses = [after - before for before, after in zip(script.asked, script.asked[1:], strict=False)]

    assert min(pauses) >= 27
    assert max(pauses) <= 33
    assert len({round(pause, 3) for pause in pauses}) > 10


def test_trouble_is_told_once_and_so_is_its_end() -> None:
    """Meanwhile the revision found last stays, and it is asked less and less often."""
    away = errors.SourceUnavailable("away")
    script = Script("1", *[away] * 20, "1")
    poll, told = turn(run(script, 40_000))
    pauses = [after - before for before, after in zip(script.asked, script.asked[1:], strict=False)][1:20]

    assert told == ["1", "UD201", "1"]
    assert poll.error is None
    assert max(pauses) > 60
    assert max(pauses) <= 331


def test_another_kind_of_trouble_is_news() -> None:
    script = Script(
        "1", errors.SourceUnavailable("away"), errors.SourceDenied("no"), errors.SourceDenied("no")
    )

    assert turn(run(script, 3000))[1] == ["1", "UD201", errors.SourceDenied.code]


def test_what_is_expected_is_asked_for_at_once() -> None:
    async def story() -> float:
        script = Script("1", "2")
        poll = polling.Poll(DECLARED, script)

        async def changed(_: polling.Poll) -> None:
            return None

        task = asyncio.ensure_future(poll.run(changed))
        await asyncio.sleep(1)
        poll.expect()
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert poll.revision is not None
        assert poll.revision.digest == "2"
        return script.asked[1] - script.asked[0]

    assert turn(story()) <= 1.0


def test_a_revision_is_given_out_once_it_has_been_told() -> None:
    """Whoever reconciles at it finds the configuration that came with it in force."""

    async def story() -> list[str]:
        order: list[str] = []
        poll = polling.Poll(DECLARED, Script("1", "2"))

        async def changed(one: polling.Poll) -> None:
            await asyncio.sleep(5)
            order.append(f"told {one.revision.digest if one.revision else ''}")

        task = asyncio.ensure_future(poll.run(changed))
        await asyncio.sleep(0.1)
        order.append(f"given {(await poll.resolve()).digest}")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return order

    assert turn(story()) == ["told 1", "given 1"]


def test_many_who_ask_first_share_one_question() -> None:
    async def story() -> int:
        script = Script("1")
        poll = polling.Poll(DECLARED, script)

        async def changed(_: polling.Poll) -> None:
            return None

        task = asyncio.ensure_future(poll.run(changed))
        await asyncio.gather(*(poll.resolve() for _ in range(20)))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return len(script.asked)

    assert turn(story()) <= 2


def test_a_source_that_hangs_is_given_up() -> None:
    class Hanging(Script):
        async def resolve(self) -> source.Revision:
            await asyncio.sleep(1e6)
            raise AssertionError

    poll, told = turn(run(Hanging("1"), 1000))

    assert told == ["UD201"]
    assert isinstance(poll.error, errors.SourceUnavailable)


def test_a_defect_of_a_source_is_trouble_like_any_other() -> None:
    class Broken(Script):
        async def resolve(self) -> source.Revision:
            raise ZeroDivisionError

    poll, _ = turn(run(Broken("1"), 10))

    async def ask() -> None:
        await poll.resolve()

    with pytest.raises(errors.InternalError):
        turn(ask())


def test_news_that_somebody_else_asked_for_are_told_all_the_same() -> None:
    """An order asks at once; what it finds concerns everybody."""

    async def story() -> list[str]:
        told: list[str] = []
        poll = polling.Poll(DECLARED, Script("1", "2"))

        async def changed(one: polling.Poll) -> None:
            told.append(one.revision.digest if one.revision else "")

        task = asyncio.ensure_future(poll.run(changed))
        await asyncio.sleep(1)
        assert await poll.ask()
        poll.expect()
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return told

    assert turn(story()) == ["1", "2"]
