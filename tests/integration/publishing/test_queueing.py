"""Jobs of one machine take turns; whoever cannot have one goes on without."""

import asyncio
import pathlib
import signal
import subprocess
import sys

from undrift.publishing import queueing

URL = "https://forge.example/ops/gitops.git"
HOLD = """
import asyncio, pathlib, sys
from undrift.publishing import queueing
async def hold():
    async with queueing.Turns(sys.argv[1], pathlib.Path(sys.argv[2])).one() as had:
        print(had, flush=True)
        await asyncio.sleep(60)
asyncio.run(hold())
"""


async def test_one_after_the_other(tmp_path: pathlib.Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    async def job(number: int) -> bool:
        async with queueing.Turns(URL, tmp_path / "turns").one() as had:
            inside.append(number)
            most.append(len(inside))
            await asyncio.sleep(0.01)
            inside.remove(number)
            return had

    assert all(await asyncio.gather(*map(job, range(5))))
    assert max(most) == 1


async def test_another_repository_is_another_queue(tmp_path: pathlib.Path) -> None:
    async with (
        queueing.Turns(URL, tmp_path).one() as first,
        queueing.Turns(f"{URL}/x", tmp_path).one(0) as second,
    ):
        assert first
        assert second


async def test_patience_ends_and_the_dead_hold_nothing(tmp_path: pathlib.Path) -> None:
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs here
        [sys.executable, "-c", HOLD, URL, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        async with queueing.Turns(URL, tmp_path).one(0.1) as had:
            assert not had
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=20)

    async with queueing.Turns(URL, tmp_path).one(0.1) as had:
        assert had


async def test_a_folder_that_others_can_write_is_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)

    for name in ("open", "link", "missing/above"):
        async with queueing.Turns(URL, tmp_path / name).one() as had:
            assert not had
    assert list((tmp_path / "open").iterdir()) == []
