"""publish-32: 32 jobs of CI publish different applications at once; the slowest, in seconds.

Beside it, in the same run, the algorithm of the reference: clone, copy, commit, push, five times `pull --rebase` half a
second apart. How many of its jobs fail is told with it; its figure is the slowest, whether it failed or not.
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


def crowd(jobs: list[tuple[pathlib.Path, list[str]]]) -> tuple[list[float], int]:
    """Seconds that each took, and how many failed."""
    begun = time.perf_counter()
    going = {index: publishing.begin(place, command) for index, (place, command) in enumerate(jobs)}
    took: list[float] = []
    failed = 0
    while going:
        for index, process in list(going.items()):
            if process.poll() is not None:
                took.append(time.perf_counter() - begun)
                failed += process.returncode != 0
                del going[index]
                if process.returncode and process.stderr is not None:
                    print(process.stderr.read().decode(errors="replace")[-300:])
                process.communicate()
        time.sleep(0.01)
    return took, failed


def main() -> None:
    """Print both."""
    with publishing.folder() as place, publishing.served(place) as url:
        seed = publishing.application(place, "seed", url)
        publishing.took(seed, publishing.UNDRIFT, "publish")
        made = {f"app-{n}": publishing.application(place, f"app-{n}", url) for n in range(JOBS)}
        theirs, lost = crowd(
            [(one, ["sh", "-c", REFERENCE.format(url=url, name=name)]) for name, one in made.items()]
        )
        ours, failed = crowd([(one, [publishing.UNDRIFT, "publish"]) for one in made.values()])
        there = subprocess.run(
            ["git", "--git-dir", str(place / "gitops.git"), "ls-tree", "--name-only", "main:staging"],
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
    if failed or len(there) != JOBS + 1:
        raise SystemExit(f"{failed} jobs failed, {JOBS + 1 - len(there)} are lost")
    print(f"ours: p50 {statistics.median(ours):.1f} s, max {max(ours):.1f} s, 0 of {JOBS} failed")
    print(
        f"clone, commit, five times pull --rebase: p50 {statistics.median(theirs):.1f} s, max {max(theirs):.1f} s, {lost} of {JOBS} failed"
    )
    figures.tell("publish-32", max(ours), "s", max(theirs))


if __name__ == "__main__":
    main()
