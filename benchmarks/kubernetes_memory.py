"""kubernetes-memory: what an agent holds with 4,000 resources in sync, and with 100,000.

The large set is 1,000 applications of a hundred resources: 70 ConfigMaps, and ten each of ServiceAccount, Service and
Deployment. The floor is Python with the agent's imports. Takes a quarter of an hour, nearly all of it for applying.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks import clusters, figures, fleet, restart_1000

_RESIDENT = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
_PATIENCE = 3600.0


class Large(clusters.Clusters):
    """A hundred resources an application."""

    patience = _PATIENCE

    def manifests(self, name: str, version: str) -> Iterator[dict[str, Any]]:
        """See `Clusters`."""
        for number in range(10):
            yield from clusters.manifests(f"{name}-{number}", version)
        for number in range(60):
            yield clusters.settings(f"{name}-more-{number}", version)


def main() -> None:
    """Both sets, one after the other; with an argument, the large one of that many applications only."""
    told = subprocess.run(
        [sys.executable, "-c", f"{restart_1000.IMPORTS}; {_RESIDENT}"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    least = float(told.stdout)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else fleet.COUNT
    if len(sys.argv) == 1:
        with clusters.clusters() as found:
            print(f"4,000 resources: {_settled(found):.0f} MiB (mark: 200)")
    with clusters.clusters(count, hurried=True, sort=Large) as found:
        held = _settled(found)
        print(f"{count * 100:,} resources: {held:.0f} MiB (mark: 600)")
        found.restart()
        print(f"the same, started again: {_settled(found):.0f} MiB")
        figures.tell("kubernetes-memory", held, "MiB", least)


def _settled(found: clusters.Clusters) -> float:
    """Resident when everything is in sync."""
    if found.process is None:
        found.start()
    found.until(found.all_in_sync, 1)
    return found.memory()


if __name__ == "__main__":
    main()
