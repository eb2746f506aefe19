"""What belongs to a tree and lies elsewhere: submodules, LFS files; and what history tells."""

import hashlib
import pathlib
import shutil
import subprocess

import pytest

from tests import peers
from tests.integration.sources import conftest
from undrift import errors
from undrift.model import source
from undrift.sources import opening
from undrift.testing import git_server


def add_submodule(repository: git_server.GitRepository, path: str, url: str, commit: str) -> None:
    modules = f'[submodule "inner"]\n\tpath = {path}\n\turl = {url}\n'
    repository.commit_entries({".gitmodules": ("100644", modules), path: ("160000", commit)})


@pytest.mark.parametrize("way", ["absolute", "relative", "file"])
async def test_submodules_are_part_of_the_tree_where_asked_for(
    desk: conftest.Desk, pool: opening.SourcePool, way: str
) -> None:
    inner = desk.server.repository("inner.git")
    pinned = inner.commit({"sub/x": "pinned", "y": "1"})
    inner.commit({"sub/x": "newer"})
    url = {"absolute": inner.url, "relative": "../inner.git", "file": inner.file_url}[way]
    outer = desk.repository.file_url if way == "file" else desk.repository.url
    desk.repository.commit({"app/own": "1"})
    add_submodule(desk.repository, "app/lib", url, pinned)
    opened = pool.open(conftest.declare(outer, submodules=True))
    revision = await opened.resolve()
    found = await opened.fetch(revision, "app")
    assert {name: file.content for name, file in found.files.items()} == {
        "own": b"1",
        "lib/sub/x": b"pinned",
        "lib/y": b"1",
    }
    before = await opened.digests(revision, ["app", "app/lib/sub", "app/lib", "app/lib/absent"])
    assert before.keys() == {"app", "app/lib/sub", "app/lib"}
    assert {
        name: file.content for name, file in (await opened.fetch(revision, "app/lib/sub")).files.items()
    } == {"x": b"pinned"}
    desk.repository.commit_entries({"app/lib": ("160000", inner.commit({"y": "2"}))})
    after = await opened.digests(await opened.resolve(), list(before))
    assert {path for path in before if before[path] != after[path]} == {"app", "app/lib", "app/lib/sub"}
    without = pool.open(conftest.declare(outer, name="without"))
    assert list((await without.fetch(await without.resolve(), "app")).files) == ["own"]
    with pytest.raises(errors.PathMissing):
        await without.fetch(revision, "app/lib/sub")


async def test_a_submodule_of_a_server_may_not_be_a_folder_of_the_agent(
    desk: conftest.Desk, pool: opening.SourcePool, tmp_path: pathlib.Path
) -> None:
    private = git_server.GitRepository(tmp_path / "private.git")
    commit = private.commit({"secret": "1"})
    add_submodule(desk.repository, "lib", private.file_url, commit)
    opened = pool.open(conftest.declare(desk.repository.url, submodules=True))
    revision = await opened.resolve()
    with pytest.raises(errors.ArtifactRefused, match="folder of the agent's host"):
        await opened.fetch(revision, ".")


async def test_credentials_are_not_sent_to_the_server_of_a_submodule(
    desk: conftest.Desk, pool: opening.SourcePool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TOKEN", "for the first server only")
    with git_server.GitServer(tmp_path / "foreign") as foreign:
        inner = foreign.repository("inner.git")
        add_submodule(desk.repository, "lib", inner.url, inner.commit({"x": "1"}))
        foreign.behaviour.users["x-access-token"] = "for the first server only"
        signed = source.Authentication(token=source.Credential(env="GIT_TOKEN"))
        opened = pool.open(conftest.declare(desk.repository.url, submodules=True, authentication=signed))
        revision = await opened.resolve()
        with pytest.raises(errors.SourceDenied):
            await opened.fetch(revision, ".")
        assert foreign.requests
        assert all(request.status == 401 for request in foreign.requests)


async def test_submodules_that_go_in_circles_or_nowhere(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    commit = desk.repository.commit({"x": "1"})
    desk.repository.commit_entries({"lib": ("160000", commit)})
    opened = pool.open(conftest.declare(desk.repository.url, submodules=True))
    with pytest.raises(errors.ArtifactRefused, match="without an address"):
        await opened.fetch(await opened.resolve(), ".")
    # A commit cannot hold itself, so the deepest chain is made by hand.
    for _ in range(8):
        add_submodule(desk.repository, "lib", "../apps.git", desk.repository.revision())
    revision = await opened.resolve()
    with pytest.raises(errors.ArtifactRefused, match="nested more than 5"):
        await opened.fetch(revision, ".")
    desk.repository.commit({".gitmodules": "[submodule\n"})
    revision = await opened.resolve()
    with pytest.raises(errors.ArtifactRefused, match=r"\.gitmodules cannot be read"):
        await opened.fetch(revision, ".")


def pointer(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"


def keep(repository: git_server.GitRepository, content: bytes) -> None:
    """Put a file where git-lfs has it in a repository on disk."""
    digest = hashlib.sha256(content).hexdigest()
    folder = repository.path / "lfs" / "objects" / digest[:2] / digest[2:4]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(content)


async def test_lfs_files_come_instead_of_their_pointers(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    peers.require_peer("git-lfs")
    content = b"large" * 1000
    keep(desk.repository, content)
    desk.repository.commit({"app/big file.bin": pointer(content), "app/small": "1"})
    opened = pool.open(conftest.declare(desk.repository.file_url, lfs=True))
    found = await opened.fetch(await opened.resolve(), "app")
    assert {name: file.content for name, file in found.files.items()} == {
        "big file.bin": content,
        "small": b"1",
    }
    plain = pool.open(conftest.declare(desk.repository.file_url, name="plain"))
    assert (await plain.fetch(await plain.resolve(), "app")).files["big file.bin"].content == pointer(
        content
    ).encode()


async def test_lfs_files_that_are_lost_or_too_large(desk: conftest.Desk, new_pool: conftest.NewPool) -> None:
    peers.require_peer("git-lfs")
    desk.repository.commit({"lost/x": pointer(b"nobody has it"), "large/x": pointer(bytes(5000))})
    opened = new_pool(opening.Limits(freshness=0, file=4000)).open(
        conftest.declare(desk.repository.file_url, lfs=True)
    )
    revision = await opened.resolve()
    with pytest.raises(errors.SourceError, match="does not come from Git LFS"):
        await opened.fetch(revision, "lost")
    with pytest.raises(errors.ArtifactRefused, match="too large"):
        await opened.fetch(revision, "large")


async def test_without_git_lfs_it_is_said_what_to_install(
    desk: conftest.Desk, pool: opening.SourcePool, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    git = shutil.which("git")
    assert git
    desk.repository.commit({"x": pointer(b"large")})
    opened = pool.open(conftest.declare(desk.repository.file_url, lfs=True))
    revision = await opened.resolve()
    (tmp_path / "bin").mkdir()
    for name in ("git", "git-upload-pack"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or git)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(errors.ArtifactRefused, match="not installed") as caught:
        await opened.fetch(revision, ".")
    assert "apt-get install git-lfs" in caught.value.hint


@pytest.mark.parametrize("partial", [True, False])
async def test_history_tells_who_wrote_a_line(
    desk: conftest.Desk, pool: opening.SourcePool, partial: bool
) -> None:
    desk.repository.git("config", "uploadpack.allowFilter", str(partial).lower())
    grace = "Grace Hopper <grace@example.com>"
    first = desk.repository.commit({"app/a.yaml": "one\ntwo\nthree\n", "other": "1"}, "First\n\nAt length.")
    second = desk.repository.commit({"app/a.yaml": "one\nTWO\nthree\n"}, "Second", grace)
    desk.repository.commit({"other": "2"}, "Third")
    opened = pool.open_git(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    asked = desk.server.count()
    line = await opened.commit_of(revision, "app/a.yaml", 2)
    assert line is not None
    assert (line.commit, line.author, line.subject, line.time) == (second, grace, "Second", 1_700_000_002)
    other = await opened.commit_of(revision, "app/a.yaml", 3)
    assert other is not None
    assert (other.commit, other.message) == (first, "First\n\nAt length.")
    assert desk.server.count() <= asked + 2, "the versions of the file come in one go"
    last = await opened.commit_of(revision, "app/a.yaml")
    assert last is not None
    assert last.commit == second
    assert await opened.commit_of(revision, "app/a.yaml", 99) == last
    assert await opened.commit_of(revision, "absent", 1) is None
    assert [entry.subject for entry in await opened.log(revision)] == ["Third", "Second", "First"]
    assert [entry.commit for entry in await opened.log(revision, "app")] == [second, first]
    assert len(await opened.log(revision, "app", 1)) == 1
    assert await opened.log(revision, "absent") == ()
    assert await opened.tree_at(revision, "app") == desk.repository.revision("main:app")
    with pytest.raises(errors.PathMissing):
        await opened.tree_at(revision, "absent")


async def test_history_is_silent_when_the_server_is_away(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    """An error message must not fail for want of an author."""
    desk.repository.commit({"a": "1\n"})
    desk.repository.commit({"a": "2\n"})
    opened = pool.open_git(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    desk.server.stop()
    assert await opened.commit_of(revision, "a", 1) is None


async def test_a_store_of_many_fetches_is_tidied(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    """Every fetch leaves a pack; they do not pile up, and nothing is lost."""
    opened = pool.open(conftest.declare(desk.repository.url))
    revisions = []
    for number in range(60):
        desk.repository.commit({"x": str(number)})
        revisions.append(await opened.resolve())
        await opened.fetch(revisions[-1], ".")
    packs = list(desk.cache.glob("git/*/objects.git/objects/pack/*.pack"))
    assert len(packs) <= 45
    assert (await opened.fetch(revisions[0], ".")).files["x"].content == b"0"
    store = next(desk.cache.glob("git/*/objects.git"))
    done = subprocess.run(["git", "-C", str(store), "fsck"], capture_output=True, text=True, check=False)  # noqa: ASYNC221 - a test
    assert done.returncode == 0, done.stderr
