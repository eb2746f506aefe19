"""kubernetes-restart: an agent is killed and started again; until its 1,000 applications are known to be in sync.

Nothing may be written meanwhile. The floor is starting Python with the agent's imports and doing nothing.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks import clusters, figures, restart_1000


def main() -> None:
    """Kill and start."""
    with clusters.clusters() as found:
        found.start()
        found.until(found.all_in_sync, 0.2)
        time.sleep(3)
        if found.process is not None:
            found.process.kill()
            found.process.wait(10)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", restart_1000.IMPORTS], check=True, timeout=60)
        least = time.perf_counter() - begun
        written = found.writes()
        begun = time.perf_counter()
        found.start()
        found.until(found.all_in_sync, 0.05)
        took = time.perf_counter() - begun
        print(f"writes: {found.writes() - written:.0f}; {found.cpu():.1f} s of CPU, {found.memory():.0f} MiB")
        figures.tell("kubernetes-restart", took, "s", least)


if __name__ == "__main__":
    main()
