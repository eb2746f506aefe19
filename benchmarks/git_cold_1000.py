"""git-cold-1000: a new agent applies 1,000 applications of two files for the first time.

The floor writes the same folders and files, each with fsync and rename, in a bare loop.
"""

from __future__ import annotations

import os
import pathlib
import time

from benchmarks import figures, fleet


def floor(root: pathlib.Path, count: int) -> float:
    """Seconds of the bare loop."""
    begun = time.perf_counter()
    for number in range(count):
        folder = root / f"app-{number:04d}"
        folder.mkdir(parents=True)
        for name in ("version.txt", "name.txt"):
            path = folder / f".{name}"
            with path.open("wb") as file:
                file.write(b"1\n")
                file.flush()
                os.fsync(file.fileno())
            path.rename(folder / name)
            descriptor = os.open(folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
    return time.perf_counter() - begun


def main() -> None:
    """Start an agent on a new fleet, and wait until all is in sync."""
    with fleet.fleet() as found:
        least = floor(found.root / "floor", found.count)
        found.start()
        took = found.until(found.all_in_sync, 0.2)
        if sum(1 for number in range(found.count) if found.applied(number).exists()) != found.count:
            raise SystemExit("not everything was applied")
        print(f"agent: {found.cpu():.1f} s of CPU, {found.memory():.0f} MiB")
        figures.tell("git-cold-1000", took, "s", least)


if __name__ == "__main__":
    main()
