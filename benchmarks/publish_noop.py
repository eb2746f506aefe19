"""publish-noop: a publish that changes nothing, in seconds, beyond its own rendering and start; no API write.

Over HTTP, with one stage published directly and one that waits as a pull request. The floor is `git fetch` of the tip.
"""

from __future__ import annotations

import asyncio
import pathlib
import statistics
import time

from benchmarks import figures, publishing
from undrift.model import delivery, publication, source
from undrift.publishing import preparing, running
from undrift.sources import directory
from undrift.sources.git import checkout
from undrift.testing import forge, git_server

ROUNDS = 15
RECIPE = delivery.Recipe("manifests", "k8s")
STAGES = (
    delivery.Stage("staging", RECIPE, folder="staging/pet"),
    delivery.Stage("production", RECIPE, way=delivery.Way.PULL_REQUEST, folder="production/pet"),
)
FILES = {f"{number}.yaml": source.File(b"x: 1\n") for number in range(20)}


async def measured(place: pathlib.Path, url: str) -> tuple[float, int]:
    """Seconds of the median, and how often the forge was written to."""
    repository = git_server.GitRepository(place / "gitops.git", url)
    host = forge.FakeForge(repository)
    made = publishing.application(place, "pet", url)
    history = checkout.Checkout(made, publishing.environ(made))
    revision = await history.revision()
    declared = delivery.Delivery("pet", delivery.Destination(url), STAGES)
    opened = preparing.Opened(
        preparing.Request(folder=made, variables={}), declared, STAGES, {}, directory.DirectorySource(made),
        source.Revision("", f"sha1:{revision.sha}"), revision, history,
    )  # fmt: skip
    prepared = preparing.Prepared(opened, tuple(publication.Rendition(stage, FILES) for stage in STAGES))
    how = running.How(environ=publishing.environ(made), forge=host)
    await running.publish(prepared, how)
    writes, took = len(host.writes), []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await running.publish(prepared, how)
        took.append(time.perf_counter() - begun)
    return statistics.median(took), len(host.writes) - writes


def floor(place: pathlib.Path, url: str) -> float:
    """Seconds of a fetch of the tip."""
    bare = place / "bare.git"
    publishing.git(place, "init", "-q", "--bare", str(bare))

    def fetch() -> None:
        publishing.git(bare, "fetch", "-q", "--depth=1", "--filter=tree:0", url, "main")

    return figures.best(fetch)


def main() -> None:
    """Print it beside the floor."""
    with publishing.folder() as place, publishing.served(place) as url:
        seconds, writes = asyncio.run(measured(place, url))
        if writes:
            raise SystemExit(f"the forge was written to {writes} times")
        figures.tell("publish-noop", seconds, "s", floor(place, url))


if __name__ == "__main__":
    main()
