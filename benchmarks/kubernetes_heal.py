"""kubernetes-heal: from a hand edit of one of 4,000 resources to its being healed on the cluster.

The floor is one server-side apply by a bare loop, in the same run. Median of fifteen.
"""

from __future__ import annotations

import statistics
import time

from benchmarks import clusters, figures

ROUNDS = 15


def main() -> None:
    """Edit, and watch the cluster as often as it answers."""
    with clusters.clusters() as found:
        found.start()
        found.until(found.all_in_sync, 0.2)
        time.sleep(3)
        took, least = [], []
        for number in range(ROUNDS):
            path = f"/api/v1/namespaces/bench/configmaps/app-{number:04d}"
            found.plane.request("PATCH", path, {"data": {"version": "hand"}}, "application/merge-patch+json")
            begun = time.perf_counter()
            while found.version_of(number) != "1":
                if time.perf_counter() - begun > 30:  # noqa: PLR2004 - it never will
                    raise SystemExit("it was not healed")
            took.append(time.perf_counter() - begun)
            least.append(clusters.floor(found.plane, 1) / 4)
        print("each:", " ".join(f"{one:.3f}" for one in sorted(took)))
        figures.tell("kubernetes-heal", statistics.median(took), "s", statistics.median(least))


if __name__ == "__main__":
    main()
