"""A Git repository as a source: what is resolved, compared and fetched, over every way to reach it."""

import asyncio
import pathlib
import subprocess

import pytest

from tests.integration.sources import conftest
from undrift import errors
from undrift.model import source
from undrift.sources import opening
from undrift.testing import git_server


@pytest.fixture(params=["file", "path", "http", "http-whole", "checkout"])
def url(request: pytest.FixtureRequest, desk: conftest.Desk) -> str:
    """The ways to reach a repository that need no further server; `whole`: one that leaves no blobs out."""
    if request.param == "checkout":
        place = desk.cache.parent / "checkout"
        git_server.run(["git", "init", "-q", "-b", "main", str(place)])
        git_server.run(["git", "-C", str(place), "config", "receive.denyCurrentBranch", "ignore"])
        desk.repository.git("remote", "add", "work", str(place / ".git"))
        return str(place)
    if request.param == "http-whole":
        desk.repository.git("config", "uploadpack.allowFilter", "false")
    return {"file": desk.repository.file_url, "path": str(desk.repository.path)}.get(
        request.param, desk.repository.url
    )


def publish(desk: conftest.Desk, url: str) -> None:
    """Bring what was committed to where the test reads it."""
    if url.endswith("checkout"):
        desk.repository.git(
            "push", "-q", "--force", "work", "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"
        )


async def test_a_commit_becomes_a_revision_with_all_that_people_ask_for(
    desk: conftest.Desk, pool: opening.SourcePool, url: str
) -> None:
    commit = desk.repository.commit(
        {"site/index.html": "hello"}, "Say hello\n\nAt length.", "Grace <grace@example.com>"
    )
    publish(desk, url)
    revision = await pool.open(conftest.declare(url)).resolve()
    assert str(revision) == f"main@sha1:{commit}"
    assert (revision.author, revision.message) == ("Grace <grace@example.com>", "Say hello")
    assert revision.time == 1_700_000_001


async def test_files_come_as_they_are(desk: conftest.Desk, pool: opening.SourcePool, url: str) -> None:
    """Odd names, binary content, modes and links; nothing from beside the path."""
    odd: dict[str, str | bytes | None] = {
        "a b.txt": "spaces",
        "é/ü.txt": "unicode",
        "new\nline": "line",
        'q"uote\\': "quote",
        "-f": b"\0\xff",
        "e": "",
    }
    desk.repository.commit({f"apps/web/{name}": content for name, content in odd.items()})
    desk.repository.commit({"apps/webx": "no"})
    desk.repository.commit_entries({"apps/web/run": ("100755", "#!"), "apps/web/to": ("120000", "é/ü.txt")})
    publish(desk, url)
    opened = pool.open(conftest.declare(url))
    artifact = await opened.fetch(await opened.resolve(), "apps/web")
    found = dict(artifact.files)
    assert found.pop("run") == source.File(b"#!", source.FileKind.EXECUTABLE)
    assert found.pop("to") == source.File("é/ü.txt".encode(), source.FileKind.LINK)
    expected = {
        name: content.encode() if isinstance(content, str) else content for name, content in odd.items()
    }
    assert {name: file.content for name, file in found.items()} == expected
    assert list(artifact.files) == sorted(artifact.files)


async def test_only_what_changed_has_another_digest(
    desk: conftest.Desk, pool: opening.SourcePool, url: str
) -> None:
    desk.repository.commit({"a/x": "1", "b/x": "1", "c d/é\n": "1", "single": "1"})
    publish(desk, url)
    opened = pool.open(conftest.declare(url))
    paths = ["a", "b", "c d", "single", "c d/é\n", ".", "absent", "a/x/absent"]
    first = await opened.resolve()
    before = await opened.digests(first, paths)
    desk.repository.commit({"b/x": "2", "c d/é\n": "2"})
    publish(desk, url)
    second = await opened.resolve()
    after = await opened.digests(second, paths)
    assert before.keys() == after.keys() == {"a", "b", "c d", "single", "c d/é\n", "."}
    assert {path for path in paths if before.get(path) != after.get(path)} == {"b", "c d", "c d/é\n", "."}
    assert await opened.digests(first, paths) == before
    for path in before:
        assert (await opened.fetch(second, path)).digest == after[path]


async def test_a_file_that_becomes_executable_has_another_digest(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    desk.repository.commit_entries({"run": ("100644", "#!")})
    opened = pool.open(conftest.declare(desk.repository.url))
    before = await opened.digests(await opened.resolve(), ["run"])
    desk.repository.commit_entries({"run": ("100755", "#!")})
    revision = await opened.resolve()
    assert await opened.digests(revision, ["run"]) != before
    assert (await opened.fetch(revision, "run")).files["run"].kind is source.FileKind.EXECUTABLE


@pytest.fixture
def in_a_checkout(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We are started in somebody's checkout, whose `origin` is another repository."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "remote", "add", "origin", "/nowhere"], check=True, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("in_a_checkout")
async def test_the_folder_that_we_are_started_in_counts_for_nothing(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    desk.repository.commit({"x": "1"})
    desk.repository.tag("v1.0.0")
    for url in (desk.repository.url, desk.repository.file_url):
        opened = pool.open(conftest.declare(url, reference=source.GitReference(tag="v1.0.0")))
        assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"


@pytest.mark.parametrize(
    "reference, shown",
    [
        (source.GitReference(branch="release/1"), "release/1"),
        (source.GitReference(tag="v1.0.0"), "v1.0.0"),
        (source.GitReference(semver="^1"), "v1.2.0"),
        (source.GitReference(semver=">=1.0 <1.2"), "1.1.0"),
    ],
)
async def test_references(
    desk: conftest.Desk, pool: opening.SourcePool, url: str, reference: source.GitReference, shown: str
) -> None:
    """Branches with slashes, light and annotated tags, the highest of a range."""
    repository = desk.repository
    ids = {}
    for number, name in enumerate(["v1.0.0", "1.1.0", "v1.2.0", "v2.0.0"]):
        repository.commit({"x": str(number)})
        repository.tag(name, message="" if number % 2 else f"Release {name}")
        ids[name] = repository.revision()
    ids["release/1"] = repository.point("release/1", "v1.0.0^0")
    publish(desk, url)
    opened = pool.open(conftest.declare(url, reference=reference))
    revision = await opened.resolve()
    assert str(revision) == f"{shown}@sha1:{ids[shown]}"
    assert await opened.resolve() is revision


async def test_a_new_tag_in_the_range_is_taken(
    desk: conftest.Desk, pool: opening.SourcePool, url: str
) -> None:
    desk.repository.commit({"x": "1"})
    desk.repository.tag("v1.0.0", message="One")
    publish(desk, url)
    opened = pool.open(conftest.declare(url, reference=source.GitReference(semver="1.x")))
    assert (await opened.resolve()).reference == "v1.0.0"
    desk.repository.commit({"x": "2"})
    desk.repository.tag("v1.0.1", message="Two")
    publish(desk, url)
    assert (await opened.resolve()).reference == "v1.0.1"


async def test_a_commit_is_never_asked_for_again(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    old = desk.repository.commit({"x": "old"})
    desk.repository.commit({"x": "new"})
    opened = pool.open(conftest.declare(desk.repository.url, reference=source.GitReference(commit=old)))
    revision = await opened.resolve()
    assert (str(revision), (await opened.fetch(revision, ".")).files["x"].content) == (f"sha1:{old}", b"old")
    asked = len(desk.server.requests)
    await opened.resolve()
    assert len(desk.server.requests) == asked


@pytest.mark.parametrize(
    "reference, said",
    [
        (source.GitReference(branch="mian"), "there is main"),
        (source.GitReference(tag="v1.0"), "there is v1.0.0"),
        (source.GitReference(semver="^2"), "the newest of 1 versions is v1.0.0"),
        (source.GitReference(semver="banana"), "is not a comparison"),
        (source.GitReference(commit="abc"), "all of its 40"),
        (source.GitReference(commit="a" * 40), "not our ref"),
    ],
)
async def test_a_reference_that_names_nothing_is_said_so(
    desk: conftest.Desk, pool: opening.SourcePool, url: str, reference: source.GitReference, said: str
) -> None:
    desk.repository.commit({"x": "1"})
    desk.repository.tag("v1.0.0")
    publish(desk, url)
    with pytest.raises(errors.ReferenceMissing) as caught:
        await pool.open(conftest.declare(url, reference=reference)).resolve()
    assert said in str(caught.value)
    assert caught.value.hint


async def test_a_path_that_does_not_exist_names_the_commit(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    desk.repository.commit({"x/y": "1"})
    opened = pool.open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    for path in ("absent", "x/y/z", "x/Y"):
        with pytest.raises(errors.PathMissing) as caught:
            await opened.fetch(revision, path)
        assert (caught.value.revision, caught.value.author) == (str(revision), revision.author)


async def test_an_old_revision_can_be_read_after_a_restart(
    desk: conftest.Desk, tmp_path: pathlib.Path, new_pool: conftest.NewPool
) -> None:
    """Last good is read again although the branch has moved on, even from a store made anew."""
    desk.repository.commit({"x": "old"})
    first = new_pool()
    revision = await first.open(conftest.declare(desk.repository.url)).resolve()
    await first.close()
    desk.repository.commit({"x": "new"})
    for cache in (desk.cache, tmp_path / "another"):
        second = new_pool(cache=cache)
        artifact = await second.open(conftest.declare(desk.repository.url)).fetch(revision, ".")
        assert artifact.files["x"].content == b"old"


async def test_a_repository_with_sha256_ids(tmp_path: pathlib.Path, pool: opening.SourcePool) -> None:
    """Git's newer kind of ids, over HTTP, where our own poll has to leave the talking to git."""
    with git_server.GitServer(tmp_path / "served") as server:
        git_server.run(
            [
                "git",
                "init",
                "-q",
                "--bare",
                "-b",
                "main",
                "--object-format=sha256",
                str(tmp_path / "served/new.git"),
            ]
        )
        repository = server.repository("new.git")
        commit = repository.commit({"a/x": "1"})
        for url in (repository.url, repository.file_url):
            opened = pool.open(conftest.declare(url))
            for _ in range(2):
                revision = await opened.resolve()
                assert revision.digest == f"sha256:{commit}"
            assert (await opened.fetch(revision, "a")).files["x"].content == b"1"


async def test_a_repository_with_references_in_a_table(
    tmp_path: pathlib.Path, pool: opening.SourcePool
) -> None:
    """Refs that are packed, and a branch that is a link to another, are found without git having to be asked for it."""
    repository = git_server.GitRepository(tmp_path / "packed.git")
    commit = repository.commit({"x": "1"})
    repository.git("pack-refs", "--all", "--prune")
    opened = pool.open(conftest.declare(repository.file_url))
    assert (await opened.resolve()).digest == f"sha1:{commit}"
    repository.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    alias = pool.open(conftest.declare(repository.file_url, reference=source.GitReference(branch="alias")))
    assert (await alias.resolve()).digest == f"sha1:{commit}"


async def test_many_applications_share_one_poll_and_one_fetch(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    """A hundred applications of one repository look at once at a new commit."""
    desk.repository.commit({f"apps/{number}/x": str(number) for number in range(100)})
    opened = [
        pool.open(conftest.declare(desk.repository.url, name=f"source-{number}")) for number in range(100)
    ]
    revisions = await asyncio.gather(*(one.resolve() for one in opened))
    assert len(set(revisions)) == 1
    # Our poll; git's own look at the refs, and its fetch.
    assert desk.server.count() == 3
    artifacts = await asyncio.gather(
        *(one.fetch(revisions[0], f"apps/{number}") for number, one in enumerate(opened))
    )
    assert [found.files["x"].content for found in artifacts] == [
        str(number).encode() for number in range(100)
    ]
    assert desk.server.count() <= 3 + 6


async def test_a_poll_within_a_second_asks_nobody_unless_something_is_expected(
    desk: conftest.Desk, new_pool: conftest.NewPool
) -> None:
    desk.repository.commit({"x": "1"})
    opened = new_pool(opening.Limits(freshness=60)).open_git(conftest.declare(desk.repository.url))
    first = await opened.resolve()
    desk.repository.commit({"x": "2"})
    assert await opened.resolve() is first
    opened.expect()
    assert await opened.resolve() != first


async def test_two_processes_share_a_store(desk: conftest.Desk, new_pool: conftest.NewPool) -> None:
    """Two agents on one machine (here: four pools) fetch into one folder without harm."""
    desk.repository.commit({f"apps/{number}/x": str(number) for number in range(20)})
    opened = [new_pool().open(conftest.declare(desk.repository.url)) for _ in range(4)]
    revisions = await asyncio.gather(*(one.resolve() for one in opened))
    artifacts = await asyncio.gather(*(one.fetch(revisions[0], ".") for one in opened))
    assert len({found.digest for found in artifacts}) == 1
