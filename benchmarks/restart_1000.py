"""restart-1000: an agent is killed and started again; until all of its 1,000 applications are known to be in sync.

The floor is starting Python with the agent's imports and doing nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks import figures, fleet

IMPORTS = "import undrift.agent.agent, undrift.api.serving, undrift.service.service, undrift.providers.hosts.provider"


def main() -> None:
    """Kill and start."""
    with fleet.fleet() as found:
        found.start()
        found.until(found.all_in_sync, 0.2)
        if found.process is not None:
            found.process.kill()
            found.process.wait(10)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=60)
        least = time.perf_counter() - begun
        begun = time.perf_counter()
        found.start()
        found.until(found.all_in_sync, 0.05)
        figures.tell("restart-1000", time.perf_counter() - begun, "s", least)


if __name__ == "__main__":
    main()
