"""publish-32: 32 jobs publish different applications into one repository at once; the slowest, in seconds.

Each job is a process of its own, with Python's start, and they share the machine with one another and with the server:
runners of CI would not. Beside them, in the same run, the algorithm of the reference as shell
scripts: clone, copy, commit, push, five times `pull --rebase` half a second apart. How many of its jobs fail is told
with it; its figure is the slowest, whether it failed or not.
"""

from __future__ import annotations

import pathlib
import statistics
import subprocess
import time

from benchmarks import figures, publishing

JOBS = 32
REFERENCE = """
set -e
git clone -q {url} clone && cd clone
mkdir -p reference/{name} && cp -r ../k8s/* reference/{name}/
git add . && git commit -qm '[staging] {name}'
for attempt in 1 2 3 4 5; do
  git push -q origin main && exit 0
  sleep 0.5
  git pull -q --rebase
done
git push -q origin main
"""


def race(made: list[pathlib.Path], commands: list[list[str]]) -> tuple[list[float], int]:
    """Start all at once. Seconds that each took, and how many failed."""
    begun = time.perf_counter()
    going = [publishing.begin(place, command) for place, command in zip(made, commands, strict=True)]
    took: dict[int, float] = {}
    while len(took) < len(going):
        for index, process in enumerate(going):
            if index not in took and process.poll() is not None:
                took[index] = time.perf_counter() - begun
        time.sleep(0.01)
    for process in going:
        process.communicate()
    return list(took.values()), sum(process.returncode != 0 for process in going)


def main() -> None:
    """Print both."""
    with publishing.folder() as place, publishing.served(place) as url:
        seed = publishing.application(place, "seed", url)
        publishing.took(seed, publishing.UNDRIFT, "publish")
        made = [publishing.application(place, f"app-{number}", url) for number in range(JOBS)]
        script = [REFERENCE.format(url=url, name=one.name) for one in made]
        reference, failed = race(made, [["sh", "-c", one] for one in script])
        before = publishing.spent()
        took, lost = race(made, [[publishing.UNDRIFT, "publish"]] * JOBS)
        used = publishing.spent() - before
        there = subprocess.run(
            ["git", "--git-dir", str(place / "gitops.git"), "ls-tree", "--name-only", "main:staging"],
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
    if lost or len(there) != JOBS + 1:
        raise SystemExit(f"{lost} jobs failed, {JOBS + 1 - len(there)} applications are lost")
    print(
        f"ours: p50 {statistics.median(took):.1f} s, max {max(took):.1f} s, "
        f"{used / JOBS:.2f} s of CPU a job beside the server's, 0 of {JOBS} failed"
    )
    print(
        f"clone, commit, five times pull --rebase: p50 {statistics.median(reference):.1f} s, "
        f"max {max(reference):.1f} s, {failed} of {JOBS} failed"
    )
    figures.tell("publish-32", max(took), "s", max(reference))


if __name__ == "__main__":
    main()
