"""kubernetes-cold: from an empty cluster to 1,000 applications (4,000 resources) applied and recorded.

The floor is a bare loop of server-side applies of the same resources over 16 connections, in the same run. Each has a
control plane of its own: giving an address to a Service takes longer the more of them there are, and controllers
would still be busy with what the first one made.
"""

from __future__ import annotations

import sys

from benchmarks import clusters, figures, fleet


def main() -> None:
    """Floor first, then an agent; each on a cluster that is empty."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else fleet.COUNT
    with clusters.clusters(count) as found:
        least = clusters.floor(found.plane, count)
    with clusters.clusters(count) as found:
        found.start()
        took = found.until(found.all_in_sync, 0.2)
        if found.count_applied() != found.count:
            raise SystemExit("not everything was applied")
        print(f"agent: {found.cpu():.1f} s of CPU, {found.memory():.0f} MiB")
        figures.tell("kubernetes-cold", took, "s", least)


if __name__ == "__main__":
    main()
