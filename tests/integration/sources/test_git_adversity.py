"""Bad days of a Git repository: each ends in an error that says what to do, and nothing that was good is lost."""

import asyncio
import contextlib
import os
import pathlib
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.integration.sources import conftest
from undrift import errors
from undrift.model import source
from undrift.sources import opening
from undrift.testing import git_server

ADA = "Ada Lovelace <ada@example.com>"


async def test_a_forced_push_is_refused_and_named(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    desk.repository.commit({"x": "1"})
    good = desk.repository.commit({"x": "2"})
    opened = pool.open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    desk.repository.point("main", "main^")
    forced = desk.repository.commit({"x": "3"}, "Rewrite", "Mallory <mallory@example.com>")
    for _ in range(2):
        with pytest.raises(errors.HistoryRewritten) as caught:
            await opened.resolve()
        assert forced[:12] in str(caught.value)
        assert good[:12] in str(caught.value)
        assert "Mallory" in str(caught.value)
        assert "allowForcePush" in caught.value.hint
    assert (await opened.fetch(revision, ".")).files["x"].content == b"2"
    desk.repository.point("main", good)
    desk.repository.commit({"x": "4"})
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"4"


async def test_a_forced_push_is_noticed_across_a_restart(
    desk: conftest.Desk, new_pool: conftest.NewPool
) -> None:
    """Also one that goes back to an ancestor, and a repository replaced by another."""
    desk.repository.commit({"x": "1"})
    desk.repository.commit({"x": "2"})
    declared = conftest.declare(desk.repository.url)
    first = new_pool()
    await first.open(declared).resolve()
    await first.close()
    desk.repository.point("main", "main^")
    second = new_pool()
    with pytest.raises(errors.HistoryRewritten):
        await second.open(declared).resolve()
    shutil.rmtree(desk.repository.path)
    desk.server.repository("apps.git").commit({"y": "another"})
    with pytest.raises(errors.HistoryRewritten):
        await second.open(declared).resolve()
    await second.close()


async def test_a_forced_push_is_followed_where_allowed(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    desk.repository.commit({"x": "1"})
    desk.repository.commit({"x": "2"})
    opened = pool.open(conftest.declare(desk.repository.url, allow_force_push=True))
    await opened.resolve()
    desk.repository.point("main", "main^")
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"


async def test_a_tag_that_moves_back_is_a_rewritten_history(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    old = desk.repository.commit({"x": "1"})
    desk.repository.commit({"x": "2"})
    desk.repository.tag("v1.0.0", message="One")
    opened = pool.open(conftest.declare(desk.repository.url, reference=source.GitReference(semver="^1")))
    await opened.resolve()
    desk.repository.tag("v1.0.0", old, message="One again")
    with pytest.raises(errors.HistoryRewritten, match=r"v1\.0\.0"):
        await opened.resolve()


async def test_a_deleted_branch_leaves_the_last_revision_readable(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    desk.repository.commit({"x": "1"})
    desk.repository.point("release", "main")
    opened = pool.open(conftest.declare(desk.repository.url, reference=source.GitReference(branch="release")))
    revision = await opened.resolve()
    desk.repository.delete("release")
    with pytest.raises(errors.ReferenceMissing, match="has no branch release"):
        await opened.resolve()
    assert (await opened.fetch(revision, ".")).files["x"].content == b"1"


async def test_a_host_that_is_away_and_comes_back(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    desk.repository.commit({"x": "1"})
    opened = pool.open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    await opened.fetch(revision, ".")
    desk.server.stop()
    with pytest.raises(errors.SourceUnavailable) as caught:
        await opened.resolve()
    assert errors.waiting_helps(caught.value)
    assert (await opened.fetch(revision, ".")).files["x"].content == b"1"
    desk.server.start()
    assert await opened.resolve() == revision


@pytest.mark.parametrize(
    "status, kind",
    [(500, "unavailable"), (503, "unavailable"), (429, "unavailable"), (403, "denied"), (404, "denied")],
)
async def test_what_a_server_answers_is_understood(
    desk: conftest.Desk, pool: opening.SourcePool, status: int, kind: str
) -> None:
    desk.repository.commit({"x": "1"})
    desk.behaviour.refuse = status
    opened = pool.open(conftest.declare(desk.repository.url))
    expected = errors.SourceUnavailable if kind == "unavailable" else errors.SourceDenied
    with pytest.raises(expected, match=str(status)):
        await opened.resolve()


async def test_a_server_of_the_old_protocol(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    """Before 2018 a server named all refs at once; git still speaks that."""
    desk.repository.commit({"x": "1"})
    desk.repository.tag("v1.0.0", message="One")
    desk.behaviour.old = True
    for reference in (source.GitReference(branch="main"), source.GitReference(semver="^1")):
        opened = pool.open(conftest.declare(desk.repository.url, reference=reference))
        for _ in range(2):
            revision = await opened.resolve()
        assert (await opened.fetch(revision, ".")).files["x"].content == b"1"


async def test_a_server_that_gives_no_single_objects(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    """It leaves blobs out when asked to, and then refuses to give them one by one: everything is fetched."""
    desk.repository.commit({"x": "1"})
    desk.repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    desk.behaviour.old = True
    opened = pool.open(conftest.declare(desk.repository.url))
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"
    desk.repository.commit({"x": "2"})
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"2"


async def test_an_address_without_git_at_its_end_is_followed(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    """As GitLab does it; once followed, a poll is one request again."""
    desk.repository.commit({"x": "1"})
    desk.behaviour.moved = {"/apps/": "/apps.git/"}
    opened = pool.open(conftest.declare(desk.repository.url.removesuffix(".git")))
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"
    asked = len(desk.server.requests)
    await opened.resolve()
    assert len(desk.server.requests) == asked + 1


async def test_a_repository_that_moved_to_another_host_is_named_not_followed(
    desk: conftest.Desk, pool: opening.SourcePool, tmp_path: pathlib.Path
) -> None:
    """Whoever can make a server redirect must not choose what is applied."""
    with git_server.GitServer(tmp_path / "elsewhere") as elsewhere:
        elsewhere.repository("apps.git").commit({"x": "evil"})
        desk.behaviour.redirect = elsewhere.url
        with pytest.raises(errors.SourceUnavailable, match="has moved") as caught:
            await pool.open(conftest.declare(desk.repository.url)).resolve()
        assert elsewhere.url.removeprefix("http://") in str(caught.value)


async def test_a_server_that_hangs_is_given_up(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    desk.repository.commit({"x": "1"})
    desk.behaviour.delay = 5
    opened = pool.open(conftest.declare(desk.repository.url, timeout=0.3))
    begun = time.monotonic()
    with pytest.raises(errors.SourceUnavailable, match=r"no answer within 0\.3 s"):
        await opened.resolve()
    assert time.monotonic() - begun < 3
    desk.behaviour.delay = 0


async def test_an_answer_that_is_cut_off_is_no_absence(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    """A reference or a file that was not in half an answer has not been deleted."""
    content = os.urandom(10_000)
    desk.repository.commit({"x": content})
    opened = pool.open(conftest.declare(desk.repository.url))
    for cut in (0, 3, 20, 60):
        desk.behaviour.cut = cut
        with pytest.raises(errors.SourceUnavailable):
            await opened.resolve()
    desk.behaviour.cut = None
    revision = await opened.resolve()
    desk.behaviour.cut = 200
    with pytest.raises(errors.SourceUnavailable):
        await opened.fetch(revision, ".")
    desk.behaviour.cut = None
    assert (await opened.fetch(revision, ".")).files["x"].content == content


async def test_a_caller_who_gives_up_does_not_stop_a_long_first_fetch(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    """A huge repository is fetched although each caller waits for less time than that takes."""
    desk.repository.commit({"x": "1"})
    opened = pool.open(conftest.declare(desk.repository.url))
    desk.behaviour.delay = 0.3
    tries = 0
    while True:
        tries += 1
        try:
            async with asyncio.timeout(0.4):
                await opened.resolve()
            break
        except TimeoutError:
            assert tries < 10
    assert tries > 1
    # Our polls, and one fetch: git's look at the refs and its fetch.
    assert desk.server.count() <= tries + 2


async def test_what_is_too_large_is_refused_and_not_downloaded(
    desk: conftest.Desk, new_pool: conftest.NewPool
) -> None:
    limits = opening.Limits(freshness=0, total=200_000, file=100_000, files=50)
    pool = new_pool(limits)
    desk.repository.commit(
        {
            "large/x.bin": os.urandom(150_000),
            "many/x": "1",
            **{f"many/{number}": str(number) for number in range(60)},
            **{f"sum/{number}": os.urandom(90_000) for number in range(3)},
            "huge/x.bin": os.urandom(20_000_000),
            "small/x": "1",
        }
    )
    opened = pool.open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    for path, said in [
        ("large", r"x\.bin is too large: it has 150000 bytes"),
        ("many", "more than 50 files"),
        ("sum", "too large"),
        ("huge", "too large"),
    ]:
        with pytest.raises(errors.ArtifactRefused, match=said) as caught:
            await opened.fetch(revision, path)
        assert caught.value.revision == str(revision)
    assert (await opened.fetch(revision, "small")).files["x"].content == b"1"
    await pool.close()


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../../secret", "..", "in/../../..", "hop/../../../secret", "loop"],
)
async def test_a_link_that_leaves_the_tree_is_refused(
    desk: conftest.Desk, pool: opening.SourcePool, target: str
) -> None:
    """Also through another link: `hop` is deep on paper and shallow in truth."""
    desk.repository.commit({"secret": "1", "app/in/x": "1"})
    desk.repository.commit_entries(
        {
            "app/sub/deep/bad": ("120000", target),
            "app/sub/deep/hop": ("120000", "../.."),
            "app/sub/deep/loop": ("120000", "loop"),
        }
        if target == "loop"
        else {
            "app/sub/deep/bad": (
                "120000",
                "../../hop/../../secret"
                if "hop" in target
                else target
                if target.startswith("/")
                else "../../" + target,
            ),
            "app/hop": ("120000", "in"),
        }
    )
    opened = pool.open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    with pytest.raises(errors.ArtifactRefused, match="leads") as caught:
        await opened.fetch(revision, "app")
    assert caught.value.origin is not None


async def test_names_that_git_would_never_write_are_refused(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    blob = desk.repository.git("hash-object", "-w", "--stdin", given=b"evil")
    for number, name in enumerate([b"..", b".git", b".GIT", b"a/b", b"\xff\xfe"]):
        entry = b"100644 " + name + b"\0" + bytes.fromhex(blob)
        tree = desk.repository.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", given=entry)
        top = b"40000 app\0" + bytes.fromhex(tree)
        root = desk.repository.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", given=top)
        commit = (
            git_server.run(
                ["git", "--git-dir", str(desk.repository.path), "commit-tree", root, "-m", "evil"],
                extra={
                    f"GIT_{who}_{what}": "a@b"
                    for who in ("AUTHOR", "COMMITTER")
                    for what in ("NAME", "EMAIL")
                },
            )
            .decode()
            .strip()
        )
        desk.repository.git("update-ref", f"refs/heads/evil{number}", commit)
        reference = source.GitReference(branch=f"evil{number}")
        opened = pool.open(conftest.declare(desk.repository.url, reference=reference))
        with pytest.raises(errors.ArtifactRefused, match="name"):
            await opened.fetch(await opened.resolve(), "app")


def packs(cache: pathlib.Path, ending: str = "pack") -> list[pathlib.Path]:
    return sorted(cache.glob(f"git/*/objects.git/objects/pack/*.{ending}"))


def garble(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle - 8 : middle + 8] = bytes(byte ^ 0xFF for byte in content[middle - 8 : middle + 8])
    path.chmod(0o600)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("state", ["running", "restarted"])
@pytest.mark.parametrize(
    "damage",
    [
        "pack garbled",
        "pack cut",
        "pack gone",
        "index gone",
        "index garbled",
        "config garbled",
        "reader gone",
        "all gone",
        "head gone",
    ],
)
async def test_a_damaged_store_is_made_anew(
    desk: conftest.Desk, new_pool: conftest.NewPool, damage: str, state: str
) -> None:
    """Whatever happens to the cache, reading it gives the right content or is repaired first."""
    content: dict[str, str | bytes | None] = {f"x{number}": str(number) * 3000 for number in range(30)}
    desk.repository.commit(content)
    declared = conftest.declare(desk.repository.url)
    pool = new_pool()
    opened = pool.open(declared)
    revision = await opened.resolve()
    await opened.fetch(revision, ".")
    if state == "restarted":
        await pool.close()
    what, _, how = damage.partition(" ")
    store = next(desk.cache.glob("git/*"))
    for path in packs(desk.cache, {"index": "idx"}.get(what, "pack")) if what in {"pack", "index"} else []:
        if how == "garbled":
            garble(path)
        elif how == "cut":
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:50])
        else:
            path.unlink()
    if what == "config":
        (store / "objects.git" / "config").write_text("[core\n")
    elif what in {"reader", "all"}:
        shutil.rmtree(store / "reader.git" if what == "reader" else store)
    elif what == "head":
        (store / "objects.git" / "HEAD").unlink()
    if state == "restarted":
        pool = new_pool()
        opened = pool.open(declared)
    await opened.resolve()
    artifact = await opened.fetch(revision, ".")
    assert {name: file.content.decode() for name, file in artifact.files.items()} == content
    desk.repository.commit({"x0": "new"})
    assert (await opened.fetch(await opened.resolve(), ".")).files["x0"].content == b"new"
    await pool.close()


async def test_a_damaged_store_without_a_server_is_an_error_that_waiting_ends(
    desk: conftest.Desk, new_pool: conftest.NewPool
) -> None:
    desk.repository.commit({"x": "1"})
    pool = new_pool()
    opened = pool.open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    await pool.close()
    for path in packs(desk.cache):
        path.unlink()
    desk.server.stop()
    pool = new_pool()
    opened = pool.open(conftest.declare(desk.repository.url))
    with pytest.raises(errors.SourceError) as caught:
        await opened.fetch(revision, ".")
    assert errors.waiting_helps(caught.value)
    desk.server.start()
    assert (await opened.fetch(revision, ".")).files["x"].content == b"1"
    await pool.close()


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 300 kB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("filter_", ["true", "false"])
async def test_a_full_disk_is_said_and_what_was_there_stays(
    desk: conftest.Desk, new_pool: conftest.NewPool, small_disk: pathlib.Path, filter_: str
) -> None:
    desk.repository.git("config", "uploadpack.allowFilter", filter_)
    desk.repository.commit({"x": "1"})
    opened = new_pool(cache=small_disk).open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    await opened.fetch(revision, ".")
    desk.repository.commit({f"x{number}": os.urandom(3000) for number in range(30)})
    with (small_disk / "others").open("wb") as file, contextlib.suppress(OSError):
        file.write(bytes(1_000_000))
    with pytest.raises(errors.StoreBroken, match="No space left") as caught:
        await opened.fetch(await opened.resolve(), ".")
    assert errors.waiting_helps(caught.value)
    assert "room" in caught.value.hint
    assert (await opened.fetch(revision, ".")).files["x"].content == b"1"
    (small_disk / "others").unlink()
    assert len((await opened.fetch(await opened.resolve(), ".")).files) == 31


async def test_a_full_disk_at_the_first_fetch(
    desk: conftest.Desk, new_pool: conftest.NewPool, small_disk: pathlib.Path
) -> None:
    desk.repository.commit({"x": "1"})
    with (small_disk / "others").open("wb") as file, contextlib.suppress(OSError):
        file.write(bytes(1_000_000))
    opened = new_pool(cache=small_disk).open(conftest.declare(desk.repository.url))
    with pytest.raises(errors.StoreBroken, match="No space left"):
        await opened.resolve()
    (small_disk / "others").unlink()
    assert (await opened.fetch(await opened.resolve(), ".")).files["x"].content == b"1"


async def test_a_bound_on_files_is_met_like_a_full_disk(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    """What a user without root can try: git is killed in the middle of writing, and nothing is lost."""
    desk.repository.commit({"x": "1"})
    opened = pool.open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    await opened.fetch(revision, ".")
    desk.repository.commit({f"x{number}": os.urandom(3000) for number in range(100)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(errors.SourceError) as caught:
            await opened.fetch(await opened.resolve(), ".")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert errors.waiting_helps(caught.value)
    assert (await opened.fetch(revision, ".")).files["x"].content == b"1"
    assert len((await opened.fetch(await opened.resolve(), ".")).files) == 101


async def test_two_hundred_repositories_at_once(tmp_path: pathlib.Path, pool: opening.SourcePool) -> None:
    template = git_server.GitRepository(tmp_path / "template.git")
    template.commit({"app/x": "1"})
    urls = []
    for number in range(200):
        path = tmp_path / f"{number}.git"
        shutil.copytree(template.path, path)
        urls.append(path.as_uri())

    async def look(url: str) -> bytes:
        opened = pool.open(conftest.declare(url))
        return (await opened.fetch(await opened.resolve(), "app")).files["x"].content

    assert await asyncio.gather(*(look(url) for url in urls)) == [b"1"] * 200
