"""git-commit-1000: a commit to one of 1,000 applications in one repository, from `reconcile` to applied (p50).

The floor is `git fetch` of the same commit into a repository of its own, and writing the file.
"""

from __future__ import annotations

import statistics
import subprocess
import time

from benchmarks import figures, fleet

ROUNDS = 15


def main() -> None:
    """Push and order, again and again."""
    with fleet.fleet() as found:
        found.start()
        found.until(found.all_in_sync, 0.2)
        mirror = found.root / "mirror"
        fleet.git(found.root, "clone", "-q", "--bare", str(found.repository), str(mirror))
        took, floors = [], []
        for turn in range(ROUNDS):
            number = (turn * 61) % found.count
            found.write(number, str(turn + 2))
            found.push(f"version {turn + 2}")
            begun = time.perf_counter()
            found.client.reconcile(f"app-{number:04d}", wait=0)
            path = found.applied(number)
            while path.read_text(encoding="utf-8") != f"{turn + 2}\n":
                time.sleep(0.001)
            took.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            subprocess.run(["git", "fetch", "-q", "origin", "main:main"], cwd=mirror, check=True, timeout=60)
            (found.root / "floor.txt").write_text(str(turn), encoding="utf-8")
            floors.append(time.perf_counter() - begun)
        print(f"agent: {found.memory():.0f} MiB; slowest {max(took):.3f} s")
        figures.tell("git-commit-1000", statistics.median(took), "s", statistics.median(floors))


if __name__ == "__main__":
    main()
