"""The checkout that CI made: commits, files, and how commits follow on one another, however little of them is there."""

from __future__ import annotations

import base64
import dataclasses
import pathlib
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests import peers
from undrift import errors
from undrift.model import source
from undrift.sources.git import checkout
from undrift.testing import git_server

ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
PASSWORD = "s3cret-hunter2"


@dataclasses.dataclass
class Desk:
    """A server with an application's repository, and a place for checkouts of it."""

    server: git_server.GitServer
    repository: git_server.GitRepository
    folder: pathlib.Path

    def clone(self, *options: str, url: str = "") -> pathlib.Path:
        place = self.folder / f"checkout-{len(list(self.folder.iterdir()))}"
        subprocess.run(
            ["git", "clone", "-q", *options, url or self.repository.url, str(place)],
            env=ENVIRON, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        return place


@pytest.fixture
def desk(tmp_path: pathlib.Path) -> Iterator[Desk]:
    peers.require_peer("git")
    (tmp_path / "served").mkdir()
    (tmp_path / "clones").mkdir()
    with git_server.GitServer(tmp_path / "served") as server:
        yield Desk(server, server.repository("pet.git"), tmp_path / "clones")


Opened = Callable[..., checkout.Checkout]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    made: list[checkout.Checkout] = []

    def open_(folder: pathlib.Path, environ: dict[str, str] = ENVIRON) -> checkout.Checkout:
        made.append(checkout.Checkout(folder, environ))
        return made[-1]

    yield open_
    for one in made:
        await one.close()


def git(folder: pathlib.Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=ENVIRON, check=True, capture_output=True, timeout=60
    )
    return done.stdout.decode().strip()


# --- history ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [[], ["--depth=1"], ["--depth=1", "--filter=tree:0"], ["--filter=tree:0"]]
)
@pytest.mark.parametrize("partial", [True, False])
async def test_history_is_known_however_shallow_the_checkout_is(
    desk: Desk, opened: Opened, options: list[str], partial: bool
) -> None:
    desk.repository.git("config", "uploadpack.allowFilter", str(partial).lower())
    made = [desk.repository.commit({"a": str(number)}, f"Change {number}") for number in range(5)]
    found = opened(desk.clone(*options))

    ahead = await found.relation(made[1], made[4])

    assert ahead.relation is checkout.Relation.AHEAD
    assert [one.subject for one in ahead.commits] == ["Change 4", "Change 3", "Change 2"]
    assert (await found.relation(made[4], made[1])).relation is checkout.Relation.BEHIND
    assert (await found.relation(made[4], made[4])).relation is checkout.Relation.SAME


async def test_a_branch_beside_is_apart(desk: Desk, opened: Opened) -> None:
    desk.repository.commit({"a": "1"}, "One")
    desk.repository.point("topic", "main")
    topic = desk.repository.commit({"b": "1"}, "Topic", branch="topic")
    main = desk.repository.commit({"a": "2"}, "Two")

    found = await opened(desk.clone("--depth=1")).relation(topic, main)

    assert found.relation is checkout.Relation.APART
    assert [one.subject for one in found.commits] == ["Two"]


@pytest.mark.parametrize("options", [[], ["--depth=1"]])
async def test_a_force_push_that_left_the_old_one_nowhere_is_known_for_what_it_is(
    desk: Desk, opened: Opened, options: list[str]
) -> None:
    desk.repository.commit({"a": "1"}, "One")
    lost = desk.repository.commit({"a": "2"}, "Lost")
    desk.repository.point("main", "main^")
    new = desk.repository.commit({"a": "3"}, "New")
    desk.repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    desk.repository.git("reflog", "expire", "--expire=now", "--all")
    desk.repository.git("gc", "-q", "--prune=now")

    found = await opened(desk.clone(*options)).relation(lost, new)

    assert found.relation is checkout.Relation.APART
    assert f"{lost[:8]} is in no branch" in found.why


async def test_what_the_server_keeps_of_a_force_push_is_found(desk: Desk, opened: Opened) -> None:
    desk.repository.commit({"a": "1"}, "One")
    lost = desk.repository.commit({"a": "2"}, "Lost")
    desk.repository.point("main", "main^")
    new = desk.repository.commit({"a": "3"}, "New")

    found = await opened(desk.clone("--depth=1")).relation(lost, new)

    assert (found.relation, found.why) == (checkout.Relation.APART, "")


async def test_an_old_server_that_gives_branches_only_will_do(desk: Desk, opened: Opened) -> None:
    desk.server.behaviour.old = True
    desk.repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    made = [desk.repository.commit({"a": str(number)}, f"Change {number}") for number in range(4)]

    found = await opened(desk.clone("--depth=1")).relation(made[0], made[3])

    assert found.relation is checkout.Relation.AHEAD


@pytest.mark.parametrize("how", ["no remote", "gone", "no repository"])
async def test_what_cannot_be_asked_is_not_known(desk: Desk, opened: Opened, how: str) -> None:
    first = desk.repository.commit({"a": "1"}, "One")
    second = desk.repository.commit({"a": "2"}, "Two")
    place = desk.clone("--depth=1")
    if how == "no remote":
        git(place, "remote", "remove", "origin")
    elif how == "gone":
        desk.server.stop()
    else:
        git(place, "remote", "set-url", "origin", f"{desk.server.url}/other.git")

    found = await opened(place).relation(first, second)

    assert found.relation is checkout.Relation.UNKNOWN
    assert found.why


@pytest.mark.parametrize("old", ["", "HEAD", "--output=/tmp/x", "a" * 39, "a" * 40 + "\n"])
async def test_what_is_no_commit_is_not_known(desk: Desk, opened: Opened, old: str) -> None:
    new = desk.repository.commit({"a": "1"}, "One")

    assert (await opened(desk.clone()).relation(old, new)).relation is checkout.Relation.UNKNOWN


async def test_sha256_is_known_too(tmp_path: pathlib.Path, desk: Desk, opened: Opened) -> None:
    place = tmp_path / "served" / "long.git"
    git_server.run(["git", "init", "-q", "--bare", "-b", "main", "--object-format=sha256", str(place)])
    git_server.run(["git", "--git-dir", str(place), "config", "uploadpack.allowFilter", "true"])
    repository = git_server.GitRepository(place)
    made = [repository.commit({"a": str(number)}, f"Change {number}") for number in range(3)]

    found = opened(desk.clone("--depth=1", url=f"{desk.server.url}/long.git"))

    assert (await found.relation(made[0], made[2])).relation is checkout.Relation.AHEAD
    assert (await found.revision()).sha == made[2]


# --- credentials of the checkout --------------------------------------------------------------------------


def locked(desk: Desk) -> tuple[str, str]:
    """Two commits of a repository that asks for a password from now on."""
    first = desk.repository.commit({"a": "1"}, "One")
    second = desk.repository.commit({"a": "2"}, "Two")
    return first, second


@pytest.mark.parametrize("where", ["header", "included file", "url"])
async def test_credentials_that_ci_left_in_the_checkout_are_used(
    desk: Desk, opened: Opened, where: str, tmp_path: pathlib.Path
) -> None:
    first, second = locked(desk)
    place = desk.clone("--depth=1")
    desk.server.behaviour.users["bot"] = PASSWORD
    header = "AUTHORIZATION: basic " + base64.b64encode(f"bot:{PASSWORD}".encode()).decode()
    if where == "header":  # actions/checkout until version 5
        git(place, "config", f"http.{desk.server.url}/.extraheader", header)
    elif where == "included file":  # and since version 6
        file = tmp_path / "credentials.config"
        file.write_text(f'[http "{desk.server.url}/"]\n\textraheader = {header}\n')
        git(place, "config", f"includeIf.gitdir:{place}/.git.path", str(file))
    else:  # GitLab
        git(place, "remote", "set-url", "origin", desk.repository.url.replace("://", f"://bot:{PASSWORD}@"))

    found = await opened(place).relation(first, second)

    assert (found.relation, found.why) == (checkout.Relation.AHEAD, "")
    assert PASSWORD not in repr(found)


@pytest.mark.parametrize("where", ["header", "url"])
async def test_a_credential_of_the_checkout_is_shown_to_no_other_server(
    desk: Desk, opened: Opened, where: str, elsewhere: tuple[git_server.GitServer, list[str]]
) -> None:
    first, second = locked(desk)
    place = desk.clone("--depth=1")
    if where == "header":
        header = "AUTHORIZATION: basic " + base64.b64encode(f"bot:{PASSWORD}".encode()).decode()
        git(place, "config", f"http.{desk.server.url}/.extraheader", header)
    else:
        git(place, "remote", "set-url", "origin", desk.repository.url.replace("://", f"://bot:{PASSWORD}@"))
    other, shown = elsewhere
    desk.server.behaviour.redirect = other.url

    found = await opened(place).relation(first, second)

    assert found.relation is checkout.Relation.UNKNOWN
    assert shown
    assert set(shown) == {""}


async def test_a_credential_in_a_url_is_in_no_argument_and_no_message(
    desk: Desk, opened: Opened, tmp_path: pathlib.Path
) -> None:
    """P15: Git starts `git-remote-https` with the URL as an argument."""
    first, second = locked(desk)
    place = desk.clone("--depth=1")
    desk.server.behaviour.users["bot"] = "another-one"
    git(place, "remote", "set-url", "origin", desk.repository.url.replace("://", f"://bot:{PASSWORD}@"))
    trace = tmp_path / "trace"

    found = await opened(place, {**ENVIRON, "GIT_TRACE": str(trace)}).relation(first, second)

    assert found.relation is checkout.Relation.UNKNOWN
    told = trace.read_text()
    assert "remote-http" in told
    assert PASSWORD not in told + found.why


# --- commits ----------------------------------------------------------------------------------------------


async def test_a_revision_says_all_about_itself(desk: Desk, opened: Opened) -> None:
    sha = desk.repository.commit({"a": "1"}, "Sell food #42\n\nBecause PET-7.")
    place = desk.clone(url=desk.repository.url.replace("://", "://bot:hidden@"))

    found = await opened(place).revision(sequence=7)

    assert (found.sha, found.subject, found.author) == (
        sha,
        "Sell food #42",
        "Ada Lovelace <ada@example.com>",
    )
    assert (found.branch, found.sequence, found.time) == ("main", 7, 1_700_000_001.0)
    assert found.repository == desk.repository.url


@pytest.mark.parametrize("name", ["nowhere", "--output=hole", "-1", "HEAD:a", ""])
async def test_what_is_no_commit_is_said(desk: Desk, opened: Opened, name: str) -> None:
    desk.repository.commit({"a": "1"}, "One")
    place = desk.clone()

    with pytest.raises(errors.ReferenceMissing):
        await opened(place).revision(name)

    assert not (place / "hole").exists()


async def test_settings_of_a_person_change_nothing(
    desk: Desk, opened: Opened, tmp_path: pathlib.Path
) -> None:
    sha = desk.repository.commit({"a": "1"}, "One")
    config = tmp_path / "config"
    config.write_text(
        "[log]\nshowSignature = true\ndate = relative\n[color]\nui = always\n[core]\nquotePath = true\n[format]\npretty = oneline\n"
    )

    found = await opened(desk.clone(), {**ENVIRON, "GIT_CONFIG_GLOBAL": str(config)}).revision()

    assert (found.sha, found.subject) == (sha, "One")


async def test_no_checkout_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.UsageInvalid, match="no checkout of Git"):
        await checkout.Checkout.find(tmp_path, {**ENVIRON, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})


async def test_it_is_found_from_within(desk: Desk) -> None:
    desk.repository.commit({"deep/down/a": "1"}, "One")
    place = desk.clone()

    found = await checkout.Checkout.find(place / "deep" / "down", {**ENVIRON, "GIT_DIR": "/nowhere"})

    assert found.root.resolve() == place.resolve()


# --- files ------------------------------------------------------------------------------------------------


async def test_files_are_those_of_the_commit_not_of_the_work_tree(desk: Desk, opened: Opened) -> None:
    desk.repository.commit_entries(
        {
            "k8s/a.yaml": ("100644", "a: 1\n"),
            "k8s/run": ("100755", "x"),
            "k8s/ä/link": ("120000", "../a.yaml"),
        },
        "One",
    )
    place = desk.clone()
    (place / "k8s" / "a.yaml").write_text("a: 2\n")
    (place / "k8s" / "new.yaml").write_text("b: 1\n")
    found = opened(place)
    files = found.at((await found.revision()).sha)

    artifact = await files.fetch(await files.resolve(), "k8s")

    assert artifact.files == {
        "a.yaml": source.File(b"a: 1\n"),
        "run": source.File(b"x", source.FileKind.EXECUTABLE),
        "ä/link": source.File(b"../a.yaml", source.FileKind.LINK),
    }
    assert set(await found.changed(["k8s"])) == {"k8s/a.yaml", "k8s/new.yaml"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", b"\xff\xfe/../../.."])
async def test_a_link_that_leads_out_is_refused(desk: Desk, opened: Opened, target: str | bytes) -> None:
    desk.repository.commit_entries({"k8s/link": ("120000", target)}, "One")
    found = opened(desk.clone("--no-checkout"))
    files = found.at((await found.revision()).sha)

    with pytest.raises(errors.ArtifactRefused):
        await files.fetch(await files.resolve(), "k8s")


async def test_digests_follow_content_alone(desk: Desk, opened: Opened) -> None:
    first = desk.repository.commit({"a/x": "1", "b/x": "1"}, "One")
    second = desk.repository.commit({"b/x": "2"}, "Two")
    found = opened(desk.clone())
    one, two = found.at(first), found.at(second)

    before = await one.digests(await one.resolve(), ["a", "b", "gone"])
    after = await two.digests(await two.resolve(), ["a", "b"])

    assert before["a"] == after["a"]
    assert before["b"] != after["b"]
    assert "gone" not in before


async def test_a_path_that_is_not_there_is_said(desk: Desk, opened: Opened) -> None:
    desk.repository.commit({"a/x": "1"}, "One")
    found = opened(desk.clone())
    files = found.at((await found.revision()).sha)

    with pytest.raises(errors.PathMissing):
        await files.fetch(await files.resolve(), "b")


async def test_the_old_commit_of_a_partial_clone_is_fetched(desk: Desk, opened: Opened) -> None:
    """As `promote` needs it: the revision of another stage, in a clone without its files."""
    first = desk.repository.commit({"k8s/a.yaml": "a: 1\n"}, "One")
    desk.repository.commit({"k8s/a.yaml": "a: 2\n"}, "Two")
    found = opened(desk.clone("--filter=tree:0"))
    files = found.at(first)

    artifact = await files.fetch(await files.resolve(), "k8s")

    assert artifact.files["a.yaml"].content == b"a: 1\n"


async def test_files_that_look_like_a_repository_are_none(tmp_path: pathlib.Path, desk: Desk) -> None:
    """Whoever proposes a change to the application would name programs in their settings."""
    ran = tmp_path / "ran"
    trap = {
        "shop/HEAD": "ref: refs/heads/main\n",
        "shop/objects/keep": "",
        "shop/refs/keep": "",
        "shop/config": f'[core]\n\tworktree = .\n\tfsmonitor = "touch {ran}"\n\tsshCommand = "touch {ran}"\n'
        '[remote "origin"]\n\turl = ssh://git@forge.example/shop.git\n',
    }
    desk.repository.commit({**trap, "shop/undrift.yaml": "x\n"}, "Trap")
    place = desk.clone()

    with pytest.raises(errors.UsageInvalid, match="no checkout of Git"):
        await checkout.Checkout.find(place / "shop", ENVIRON)
    found = await checkout.Checkout.find(place, ENVIRON)
    assert await found.changed(["shop"]) == ()
    assert not ran.exists()


async def test_settings_in_the_environment_hold_for_history_too(desk: Desk, opened: Opened) -> None:
    """CI often brings its credentials so."""
    first = desk.repository.commit({"a": "1"}, "First")
    second = desk.repository.commit({"a": "2"}, "Second")
    place = desk.clone("--depth=1")
    git(place, "remote", "set-url", "origin", "https://forge.example/pet.git")
    environ = {
        **ENVIRON,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{desk.repository.path}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://forge.example/pet.git",
    }

    found = await opened(place, environ).relation(first, second)

    assert (found.relation, found.why) == (checkout.Relation.AHEAD, "")
