"""What merging would give: made in a store of our own, by a real Git, from a server that holds blobs back."""

from __future__ import annotations

import dataclasses

import pytest

from tests.integration.sources import conftest
from undrift import errors
from undrift.sources import opening
from undrift.sources.git import merging


async def test_a_merge_result_is_read_like_any_commit(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    """Both sides are in it, edits of one file and a renamed one too; the same commits give the same result."""
    text = "".join(f"line {number}\n" for number in range(20))
    first = desk.repository.commit({"a.txt": text, "old/name.txt": text, "gone": "1"})
    desk.repository.point("topic", first)
    head = desk.repository.commit(
        {"a.txt": text.replace("line 1\n", "theirs\n"), "new.txt": "new", "gone": None}, branch="topic"
    )
    base = desk.repository.commit(
        {"a.txt": text.replace("line 18\n", "ours\n"), "old/name.txt": None, "moved/name.txt": text}
    )
    opened = pool.open_git(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    assert revision.digest.endswith(base)

    merged = await merging.merge(opened.repository, base, "topic", head)
    again = await merging.merge(opened.repository, base, "topic", head)

    assert merged == again
    assert merged.conflicts == ()
    result = dataclasses.replace(revision, digest=f"sha1:{merged.commit}")
    await opened.repository.commit(merged.commit)
    found = {name: file.content.decode() for name, file in (await opened.fetch(result, ".")).files.items()}
    both = text.replace("line 1\n", "theirs\n").replace("line 18\n", "ours\n")
    assert found == {"a.txt": both, "moved/name.txt": text, "new.txt": "new"}
    assert (await opened.digests(result, ["moved"])) == (await opened.digests(revision, ["moved"]))


async def test_a_conflict_names_its_files(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    first = desk.repository.commit({"a.txt": "1", "b.txt": "1", "c.txt": "1"})
    desk.repository.point("topic", first)
    head = desk.repository.commit({"a.txt": "theirs", "b.txt": "theirs", "c.txt": "2"}, branch="topic")
    base = desk.repository.commit({"a.txt": "ours", "b.txt": None})
    opened = pool.open_git(conftest.declare(desk.repository.url))
    await opened.resolve()

    merged = await merging.merge(opened.repository, base, "topic", head)

    assert merged == merging.Merged("", base, head, ("a.txt", "b.txt"))


async def test_what_has_no_common_history_cannot_be_merged(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    base = desk.repository.commit({"a.txt": "1"})
    tree = desk.repository.git("rev-parse", f"{base}^{{tree}}").strip()
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    head = desk.repository.git(*who, "commit-tree", tree, "-m", "Begin again").strip()
    desk.repository.point("topic", head)
    opened = pool.open_git(conftest.declare(desk.repository.url))
    await opened.resolve()

    with pytest.raises(errors.ReferenceMissing, match=r"topic .* cannot be merged") as caught:
        await merging.merge(opened.repository, base, "topic", head)
    assert "unrelated histories" in caught.value.why
