"""kubernetes-commit: one commit to one of 1,000 applications, from `undrift reconcile` to applied on the cluster.

The floor is one server-side apply of the same resource by a bare loop, in the same run. Median of nine.
"""

from __future__ import annotations

import statistics
import time

from benchmarks import clusters, figures

ROUNDS = 9


def main() -> None:
    """Commit, order, and watch the cluster."""
    with clusters.clusters() as found:
        found.start()
        found.until(found.all_in_sync, 0.2)
        time.sleep(3)
        took, least = [], []
        for number in range(ROUNDS):
            found.write(number, "2")
            found.push(f"change {number}")
            begun = time.perf_counter()
            found.client.reconcile(f"app-{number:04d}", wait=0)
            while found.version_of(number) != "2":
                if time.perf_counter() - begun > 30:  # noqa: PLR2004 - it never will
                    raise SystemExit("it was not applied")
            took.append(time.perf_counter() - begun)
            least.append(clusters.floor(found.plane, 1) / 4)
        print("each:", " ".join(f"{one:.3f}" for one in sorted(took)))
        figures.tell("kubernetes-commit", statistics.median(took), "s", statistics.median(least))


if __name__ == "__main__":
    main()
