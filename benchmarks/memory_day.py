"""memory-day: what an agent with 100 applications holds after a day, in which somebody commits and drifts each hour.

The day is turned: the agent, its repository, its target and its database are real, only nobody waits for timers.
The value is what it holds at the end of the day, the floor what it held after two hours; MiB, resident.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pathlib

import structlog

from benchmarks import figures, fleet, turning
from undrift.agent import agent, worker, world
from undrift.config import settings

COUNT = 100
HOURS = 24
WARM = 2
HOUR = 3600.0


def resident() -> float:
    """MiB of this process."""
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Day:
    """Waits inside the agent, as its door does, and is the person who commits and the hand that drifts."""

    def __init__(self, found: fleet.Fleet, loop: turning.TurningLoop, ending: asyncio.Event) -> None:
        self.fleet = found
        self.loop = loop
        self.ending = ending
        self.looks = 0
        self.held: list[float] = []

    async def run(self, shared: world.Shared, _: worker.Worker) -> None:
        """The day, hour by hour."""
        await self._settled(shared)
        for hour in range(HOURS):
            await self._commit_and_drift(shared, hour)
            self.loop.turning = True
            await asyncio.sleep(HOUR)
            self.loop.turning = False
            self.held.append(resident())
            print(f"hour {hour + 1:2}: {self.held[-1]:.1f} MiB", flush=True)
        self.looks = sum(one.generation for one in shared.tenants.values())
        self.ending.set()

    async def _commit_and_drift(self, shared: world.Shared, hour: int) -> None:
        await asyncio.to_thread(self.fleet.write, hour % COUNT, str(hour + 2))
        await asyncio.to_thread(self.fleet.push, f"hour {hour}")
        self.fleet.applied((hour + 50) % COUNT).unlink()
        shared.polls["config"].expect()
        wanted = f"{hour + 2}\n"
        while self.fleet.applied(hour % COUNT).read_text(encoding="utf-8") != wanted:  # noqa: ASYNC110 - real time
            await asyncio.sleep(0.05)
        await self._settled(shared)

    async def _settled(self, shared: world.Shared) -> None:
        while not (  # noqa: ASYNC110 - real time
            len(shared.tenants) == COUNT and all(one.in_sync for one in shared.tenants.values())
        ):
            await asyncio.sleep(0.05)


def main() -> None:
    """Turn a day."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with fleet.fleet(COUNT) as found, asyncio.Runner(loop_factory=turning.TurningLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, turning.TurningLoop)
        loop.turning = False
        read = settings.load(
            {"repository": str(found.repository), "path": "undrift", "state_dir": str(found.state)}, {}
        )
        ending = asyncio.Event()
        day = Day(found, loop, ending)
        runner.run(agent.run(read, None, day.run, stop=ending))
    print(f"{day.looks} reconciles in {loop.ahead / HOUR:.1f} turned hours")
    figures.tell("memory-day", day.held[-1], "MiB", day.held[WARM - 1])


if __name__ == "__main__":
    main()
