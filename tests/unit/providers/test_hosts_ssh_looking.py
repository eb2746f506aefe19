"""What is no part of an answer does not change what it says, and nobody waits for ever for one that is none."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence

import pytest

from undrift import errors
from undrift.providers.hosts import transport
from undrift.providers.hosts.ssh import looking, saying
from undrift.providers.hosts.ssh import transport as ssh_transport

WANTED = {
    "/etc/motd": transport.Need.CONTENT,
    "/etc/hosts": transport.Need.DIGEST,
    "/srv/gone": transport.Need.NOTHING,
}
ANSWER = (
    b"=g 0\n81a4:0:0:3:root:root:./motd\n81a4:0:0:9:root:root:./hosts\n"
    b"=d\n" + b"a" * 64 + b"  ./hosts\n"
    b"=c ./motd\n" + base64.b64encode(b"hi\n") + b"\n"
    b"=g 1\nstat: cannot statx './gone': No such file or directory\n"
    b"=q 0\n" + base64.b64encode(b"yes\n") + b"\n=a 0\n=.\n"
)


def read(answer: bytes) -> looking.Reader:
    asked = looking.ask("/r", WANTED, [transport.Question("true")])
    reader = looking.Reader(asked, saying.Who("root", is_root=True))
    reader.read(answer, b"")
    return reader


@pytest.mark.parametrize("noise", [b"\x1b]0;web1\x07", b"Welcome!"])
def test_what_swallows_a_group_is_no_absence(noise: bytes) -> None:
    """A greeting without an end of its line takes the first line of the answer with it."""
    with pytest.raises(errors.TargetUnavailable):
        read(noise + ANSWER)


async def test_nobody_waits_for_ever_when_an_answer_is_not_understood() -> None:
    """Neither those whose command it was nor those who came meanwhile."""
    begun = asyncio.Event()

    async def work(batch: Sequence[str]) -> Sequence[str | errors.UndriftError]:
        begun.set()
        await asyncio.sleep(0)
        if "bad" in batch:
            raise KeyError("bad")
        return batch

    lane = ssh_transport._Lane[str, str](work)
    first = asyncio.ensure_future(lane.put("bad"))
    await begun.wait()
    second = asyncio.ensure_future(lane.put("good"))

    with pytest.raises(errors.InternalError):
        await first
    assert await asyncio.wait_for(second, 5) == "good"
