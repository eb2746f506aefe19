"""publish-32: 32 jobs publish different applications into one repository at once; the slowest, in seconds.

Each job is all of publishing but Python's start, which is `publish-start` and on a runner of its own: all are in this
process, with a `git` of their own for everything. Beside them, in the same run, the algorithm of the reference as shell
scripts: clone, copy, commit, push, five times `pull --rebase` half a second apart. How many of its jobs fail is told
with it; its figure is the slowest, whether it failed or not.
"""

from __future__ import annotations

import asyncio
import pathlib
import statistics
import subprocess
import time

from benchmarks import figures, publishing
from undrift.publishing import preparing, running

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


async def ours(made: list[pathlib.Path]) -> tuple[list[float], list[int]]:
    """Seconds that each took, and how often it tried."""
    begun = time.perf_counter()

    async def job(place: pathlib.Path) -> tuple[float, int]:
        environ = publishing.environ(place)
        prepared = await preparing.prepare(preparing.Request(folder=place, variables=environ))
        done = await running.publish(prepared, running.How(environ=environ))
        return time.perf_counter() - begun, done.results[0].attempts

    ended = await asyncio.gather(*map(job, made))
    return [took for took, _ in ended], [attempts for _, attempts in ended]


def theirs(made: list[pathlib.Path], url: str) -> tuple[list[float], int]:
    """Seconds that each took, and how many failed."""
    begun = time.perf_counter()
    going = [
        publishing.begin(place, ["sh", "-c", REFERENCE.format(url=url, name=place.name)]) for place in made
    ]
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
        reference, failed = theirs(made, url)
        took, attempts = asyncio.run(ours(made))
        there = subprocess.run(
            ["git", "--git-dir", str(place / "gitops.git"), "ls-tree", "--name-only", "main:staging"],
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
    if len(there) != JOBS + 1:
        raise SystemExit(f"{JOBS + 1 - len(there)} applications are lost")
    print(
        f"ours: p50 {statistics.median(took):.1f} s, max {max(took):.1f} s, "
        f"at most {max(attempts)} attempts, 0 of {JOBS} failed"
    )
    print(
        f"clone, commit, five times pull --rebase: p50 {statistics.median(reference):.1f} s, "
        f"max {max(reference):.1f} s, {failed} of {JOBS} failed"
    )
    figures.tell("publish-32", max(took), "s", max(reference))


if __name__ == "__main__":
    main()
