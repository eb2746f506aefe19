"""kubernetes-idle: what an agent with 4,000 resources in sync costs in five minutes in which nothing happens.

In per cent of one core; the requests that the agent sent are told beside it. The floor is a sleeping event loop.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from benchmarks import clusters, figures

SECONDS = 300.0


def main() -> None:
    """Wait until all is quiet, then measure."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with clusters.clusters(hurried=True) as found:
        found.start()
        found.until(found.all_in_sync, 0.5)
        found.until(found.all_healthy, 1)
        time.sleep(10)
        sleeper = subprocess.Popen(
            [sys.executable, "-c", f"import asyncio; asyncio.run(asyncio.sleep({seconds}))"]
        )
        quiet = resource.getrusage(resource.RUSAGE_CHILDREN)
        before, asked, begun = found.cpu(), found.requests_of_agent(), time.perf_counter()
        sleeper.wait(seconds * 2)
        took = time.perf_counter() - begun
        slept = resource.getrusage(resource.RUSAGE_CHILDREN)
        idle = (slept.ru_utime + slept.ru_stime - quiet.ru_utime - quiet.ru_stime) / took * 100
        print(
            f"requests: {found.requests_of_agent() - asked:.0f}; resident: {found.memory():.0f} MiB (mark: 200)"
        )
        figures.tell("kubernetes-idle", (found.cpu() - before) / took * 100, "%", idle)


if __name__ == "__main__":
    main()
