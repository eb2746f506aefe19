"""idle-1000: CPU of an agent with 1,000 applications over a real minute in which nothing happens.

The floor is a Python process with an event loop that only sleeps. In per cent of one core.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from benchmarks import figures, fleet

MINUTE = 60.0


def main() -> None:
    """Wait until all is quiet, then measure."""
    with fleet.fleet() as found:
        found.start()
        found.until(found.all_in_sync, 0.5)
        time.sleep(5)
        sleeper = subprocess.Popen(
            [sys.executable, "-c", f"import asyncio; asyncio.run(asyncio.sleep({MINUTE}))"]
        )
        quiet = resource.getrusage(resource.RUSAGE_CHILDREN)
        before, begun = found.cpu(), time.perf_counter()
        sleeper.wait(MINUTE * 2)
        took = time.perf_counter() - begun
        print(f"resident: {found.memory():.0f} MiB (mark: 150)")
        slept = resource.getrusage(resource.RUSAGE_CHILDREN)
        idle = (slept.ru_utime + slept.ru_stime - quiet.ru_utime - quiet.ru_stime) / took * 100
        figures.tell("idle-1000", (found.cpu() - before) / took * 100, "%", idle)


if __name__ == "__main__":
    main()
