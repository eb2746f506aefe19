"""publish-huge: publish into a repository of 60,000 files and 20,000 commits, in seconds beyond rendering.

The floor is Git alone: a bare fetch without trees, one tree read and replaced, a push.
"""

from __future__ import annotations

import asyncio
import io
import pathlib
import statistics
import time

from benchmarks import figures, publishing
from undrift.model import delivery, publication, source
from undrift.publishing import deciding, preparing, running
from undrift.sources import directory
from undrift.sources.git import checkout

FILES, COMMITS, APPLICATIONS = 60_000, 20_000, 1_000
ROUNDS = 7
RECIPE = delivery.Recipe("manifests", "k8s")
STAGES = (delivery.Stage("staging", RECIPE, folder="staging/app-7"),)


def grow(place: pathlib.Path) -> None:
    """Make the repository: all files in the first commit, then one file a commit."""
    stream = io.BytesIO()
    each = FILES // APPLICATIONS
    names = [
        f"staging/app-{number}/file-{index}.yaml" for number in range(APPLICATIONS) for index in range(each)
    ]
    for commit in range(COMMITS):
        stream.write(
            b"commit refs/heads/main\ncommitter CI <ci@example.com> %d +0000\ndata 1\nx\n"
            % (1_700_000_000 + commit)
        )
        if commit:
            stream.write(b"M 100644 inline other/%d.yaml\ndata 2\nx\n\n" % (commit % 500))
            continue
        for name in names:
            content = MANIFEST.format(name=name).encode()
            stream.write(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content))
    publishing.git(place / "gitops.git", "fast-import", "--quiet", given=stream.getvalue())
    publishing.git(place / "gitops.git", "repack", "-adq", "--write-bitmap-index")
    publishing.git(place / "gitops.git", "commit-graph", "write", "--reachable")


MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n" + "# filler\n" * 20


async def measured(place: pathlib.Path, url: str) -> float:
    """Seconds of the median; each round publishes another revision."""
    made = publishing.application(place, "app-7", url)
    history = checkout.Checkout(made, publishing.environ(made))
    declared = delivery.Delivery("app-7", delivery.Destination(url, forge="none"), STAGES)
    took = []
    for number in range(ROUNDS):
        publishing.change(made, "app-7", number + 1)
        revision = await history.revision()
        opened = preparing.Opened(
            preparing.Request(folder=made, variables={}), declared, STAGES, {}, directory.DirectorySource(made),
            source.Revision("", f"sha1:{revision.sha}"), revision, history,
        )  # fmt: skip
        files = {f"{index}.yaml": source.File(f"x: {number}\n".encode()) for index in range(60)}
        prepared = preparing.Prepared(opened, (publication.Rendition(STAGES[0], files),))
        how = running.How(environ=publishing.environ(made), options=deciding.Options(overwrite=True))
        begun = time.perf_counter()
        await running.publish(prepared, how)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def floor(place: pathlib.Path, url: str) -> float:
    """Seconds of the same by hand."""
    took = []
    for number in range(ROUNDS):
        bare = place / f"bare-{number}.git"
        begun = time.perf_counter()
        publishing.git(place, "init", "-q", "--bare", str(bare))
        publishing.git(bare, "remote", "add", "origin", url)
        publishing.git(bare, "config", "remote.origin.promisor", "true")
        publishing.git(bare, "fetch", "-q", "--depth=1", "--filter=tree:0", "origin", "main")
        blob = publishing.git(bare, "hash-object", "-w", "--stdin", given=f"x: {number}\n".encode())
        root = publishing.git(bare, "ls-tree", "FETCH_HEAD")
        root += f"\n100644 blob {blob}\tby-hand.yaml\n"
        tree = publishing.git(bare, "mktree", "--missing", given=root.encode())
        commit = publishing.git(bare, "commit-tree", tree, "-p", "FETCH_HEAD", "-m", "x")
        publishing.git(bare, "push", "-q", "origin", f"{commit}:refs/heads/by-hand-{number}")
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def main() -> None:
    """Print it beside the floor."""
    with publishing.folder() as place, publishing.served(place) as url:
        grow(place)
        by_hand = floor(place, url)
        figures.tell("publish-huge", asyncio.run(measured(place, url)), "s", by_hand)


if __name__ == "__main__":
    main()
