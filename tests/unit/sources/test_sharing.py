"""Work that many ask for at once is done once; nobody's impatience or failure is another's."""

import asyncio

import pytest

from undrift import errors
from undrift.sources import sharing
from undrift.sources.git import prefetching


async def test_work_under_way_is_joined() -> None:
    shared: sharing.Shared[int] = sharing.Shared()
    done: list[int] = []
    gate = asyncio.Event()

    async def work() -> int:
        await gate.wait()
        done.append(1)
        return len(done)

    waiting = [asyncio.ensure_future(shared.do("a", work)) for _ in range(10)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == [1] * 10
    assert await shared.do("a", work) == 2


async def test_who_gives_up_does_not_stop_the_work() -> None:
    shared: sharing.Shared[str] = sharing.Shared()
    gate = asyncio.Event()

    async def work() -> str:
        await gate.wait()
        return "done"

    impatient = asyncio.ensure_future(shared.do("a", work))
    patient = asyncio.ensure_future(shared.do("a", work))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await patient == "done"


async def test_everybody_gets_an_error_of_his_own() -> None:
    """It learns its revision on the way up, which differs from one to the other."""
    shared: sharing.Shared[None] = sharing.Shared()

    async def work() -> None:
        await asyncio.sleep(0)
        raise errors.SourceUnavailable("away", why="a cable", hint="wait")

    found = await asyncio.gather(*(shared.do("a", work) for _ in range(3)), return_exceptions=True)
    assert len({id(error) for error in found}) == 3
    for error in found:
        assert isinstance(error, errors.SourceUnavailable)
        assert (error.what, error.why, error.hint) == ("away", "a cable", "wait")


async def test_closing_stops_what_is_under_way() -> None:
    shared: sharing.Shared[None] = sharing.Shared()
    waiting = asyncio.ensure_future(shared.do("a", asyncio.Event().wait))  # type: ignore[arg-type]  # the value is not looked at
    await asyncio.sleep(0)
    await shared.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_is_asked_during_a_fetch_goes_into_the_next_one() -> None:
    rounds: list[frozenset[str]] = []
    gate = asyncio.Event()

    async def fetch(ids: frozenset[str]) -> None:
        rounds.append(ids)
        await gate.wait()

    prefetcher = prefetching.Prefetcher(fetch)
    first = asyncio.ensure_future(prefetcher.want(frozenset("a")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.ensure_future(prefetcher.want(frozenset(one))) for one in "bcde"]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *others)
    assert rounds == [frozenset("a"), frozenset("bcde")]


async def test_one_who_asks_for_too_much_spoils_it_for_nobody() -> None:
    async def fetch(ids: frozenset[str]) -> None:
        await asyncio.sleep(0)
        if "x" in ids:
            raise errors.ArtifactRefused("too large")

    prefetcher = prefetching.Prefetcher(fetch)
    found = await asyncio.gather(*(prefetcher.want(frozenset(one)) for one in "axb"), return_exceptions=True)
    assert [type(one) for one in found] == [type(None), errors.ArtifactRefused, type(None)]
    await prefetcher.close()
