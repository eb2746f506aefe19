"""Commits that a person orders: what they change, what they leave alone, and what happens when others push too."""

import os
import pathlib

import pytest

from tests.integration.sources import conftest
from undrift import errors
from undrift.sources.git import writing
from undrift.testing import git_server


@pytest.fixture(params=["http", "file", "http-whole"])
def url(request: pytest.FixtureRequest, desk: conftest.Desk) -> str:
    if request.param == "http-whole":
        desk.repository.git("config", "uploadpack.allowFilter", "false")
    return desk.repository.file_url if request.param == "file" else desk.repository.url


ORDER = writing.Order("main", "Roll back web\n\nBecause.")


async def test_a_path_is_restored_and_nothing_else(desk: conftest.Desk, url: str) -> None:
    """Changed, added and deleted files of the path; commits of others to other paths stay."""
    repository = desk.repository
    old = repository.commit(
        {"apps/web/a": "1", "apps/web/sub/b é\n": "1", "apps/web/gone": "1", "apps/db/x": "1"}
    )
    repository.commit({"apps/web/a": "2", "apps/web/new": "2", "apps/web/gone": None, "apps/db/x": "2"})
    tip = repository.revision()
    written = await writing.Writer(url).restore(ORDER, "apps/web", old)
    assert written == writing.Written(repository.revision(), "main", tip)
    assert repository.revision("main:apps/web") == repository.revision(f"{old}:apps/web")
    assert repository.read("apps/db/x") == b"2"
    assert repository.git("log", "-1", "--format=%an|%ae|%cn|%B") == (
        "Ada Author|ada@example.org|Ada Author|Roll back web\n\nBecause."
    )
    assert repository.git("fsck", "--strict") == ""


@pytest.mark.parametrize("path", ["", ".", "single", "folder-then-file", "was-not-there"])
async def test_every_shape_of_path(desk: conftest.Desk, url: str, path: str) -> None:
    repository = desk.repository
    repository.commit({"single": "1", "folder-then-file/x": "1"})
    repository.commit_entries({"single": ("100755", "1")})
    old = repository.revision()
    repository.commit({"single": "2", "folder-then-file/x": None, "was-not-there/y": "2"})
    repository.commit({"folder-then-file": "2"})
    await writing.Writer(url).restore(ORDER, path, old)
    whole = path in {"", "."}
    assert ("was-not-there/y" in repository.files()) == (not whole and path != "was-not-there")
    if whole:
        assert repository.revision("main^{tree}") == repository.revision(f"{old}^{{tree}}")
    elif path != "was-not-there":
        assert repository.git("ls-tree", "main", path) == repository.git("ls-tree", old, path)


async def test_one_file_is_replaced(desk: conftest.Desk, url: str) -> None:
    repository = desk.repository
    repository.commit({"app.yaml": "suspend: false\n", "other": "1"})

    def suspend(content: bytes | None) -> bytes:
        assert content == b"suspend: false\n"
        return b"suspend: true\n"

    await writing.Writer(url).replace(writing.Order("main", "Suspend"), "app.yaml", suspend)
    assert (repository.read("app.yaml"), repository.read("other")) == (b"suspend: true\n", b"1")
    await writing.Writer(url).replace(
        writing.Order("main", "Add"), "new/file", lambda content: b"%r" % content
    )
    assert repository.read("new/file") == b"None"
    await writing.Writer(url).replace(writing.Order("main", "Delete"), "new/file", lambda _: None)
    assert repository.files() == ["app.yaml", "other"]


async def test_a_lost_race_is_built_again_on_the_new_tip(desk: conftest.Desk, url: str) -> None:
    repository = desk.repository
    repository.commit({"count": "1", "other": "1"})
    tries = []

    def count(content: bytes | None) -> bytes:
        tries.append(content)
        if len(tries) < 3:
            repository.commit({"count": f"1{len(tries)}", "other": "theirs"}, "Faster")
        return (content or b"") + b"+"

    await writing.Writer(url).replace(writing.Order("main", "Count"), "count", count)
    assert tries == [b"1", b"11", b"12"]
    assert (repository.read("count"), repository.read("other")) == (b"12+", b"theirs")
    assert repository.git("rev-list", "--count", "main") == "4"


async def test_a_branch_that_never_rests_is_given_up(desk: conftest.Desk) -> None:
    repository = desk.repository
    repository.commit({"count": "0"})

    def edit(content: bytes | None) -> bytes:
        repository.commit({"count": f"{content!r}x"})
        return b"mine"

    with pytest.raises(errors.SourceUnavailable, match="others pushed 5 times"):
        await writing.Writer(repository.url).replace(writing.Order("main", "Try"), "count", edit)


async def test_a_branch_of_its_own(desk: conftest.Desk, url: str) -> None:
    repository = desk.repository
    old = repository.commit({"x": "1"})
    tip = repository.commit({"x": "2"})
    order = writing.Order("main", "Roll back", to="rollback/x")
    written = await writing.Writer(url).restore(order, "x", old)
    assert (repository.revision("main"), repository.revision("rollback/x")) == (tip, written.commit)
    with pytest.raises(errors.UsageInvalid, match="rollback/x exists already"):
        await writing.Writer(url).restore(writing.Order("main", "Another", to="rollback/x"), "x", old)


async def test_what_changes_nothing_is_no_commit(desk: conftest.Desk) -> None:
    only = desk.repository.commit({"x": "1"})
    with pytest.raises(errors.RollbackImpossible, match="already as it was"):
        await writing.Writer(desk.repository.url).restore(ORDER, "x", only)
    assert desk.repository.revision() == only


@pytest.mark.parametrize(
    "order, revision, kind",
    [
        (writing.Order("absent", "m"), "", errors.ReferenceMissing),
        (ORDER, "a" * 40, errors.ReferenceMissing),
        (ORDER, "HEAD^", errors.RollbackImpossible),
        (writing.Order("main", "m", to="--mirror"), "", errors.UsageInvalid),
        (writing.Order("main", "m", to="a..b"), "", errors.UsageInvalid),
        (writing.Order("main", "m", to="a b"), "", errors.UsageInvalid),
    ],
)
async def test_what_does_not_exist_is_said_so(
    desk: conftest.Desk, order: writing.Order, revision: str, kind: type[errors.UndriftError]
) -> None:
    old = desk.repository.commit({"x": "1"})
    desk.repository.commit({"x": "2"})
    with pytest.raises(kind):
        await writing.Writer(desk.repository.url).restore(order, "x", revision or old)


async def test_a_protected_branch_is_refused_with_a_way_out(desk: conftest.Desk) -> None:
    old = desk.repository.commit({"x": "1"})
    desk.repository.commit({"x": "2"})
    hook = desk.repository.path / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ] || { echo "main is protected" >&2; exit 1; }\n')
    hook.chmod(0o755)
    with pytest.raises(errors.SourceDenied, match="does not let you push to main") as caught:
        await writing.Writer(desk.repository.url).restore(ORDER, "x", old)
    assert "--branch" in caught.value.hint
    await writing.Writer(desk.repository.url).restore(writing.Order("main", "m", to="mine"), "x", old)


async def test_without_rights_it_is_refused(desk: conftest.Desk) -> None:
    old = desk.repository.commit({"x": "1"})
    desk.repository.commit({"x": "2"})
    desk.behaviour.users["ada"] = "secret"
    with pytest.raises(errors.SourceDenied):
        await writing.Writer(desk.repository.url).restore(ORDER, "x", old)


async def test_without_an_identity_git_is_not_asked_to_guess(desk: conftest.Desk) -> None:
    old = desk.repository.commit({"x": "1"})
    desk.repository.commit({"x": "2"})
    nobody = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))
    }
    nobody |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "user.useConfigOnly",
        "GIT_CONFIG_VALUE_0": "true",
    }
    with pytest.raises(errors.UsageInvalid, match="who you are") as caught:
        await writing.Writer(desk.repository.url, nobody).restore(ORDER, "x", old)
    assert "user.email" in caught.value.hint


async def test_the_persons_own_settings_sign(desk: conftest.Desk, tmp_path: pathlib.Path) -> None:
    old = desk.repository.commit({"x": "1"})
    desk.repository.commit({"x": "2"})
    signer = git_server.make_ssh_signer(tmp_path / "keys")
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[gpg]\nformat = ssh\n[user]\nsigningKey = {signer.key}\n[commit]\ngpgSign = true\n", "utf-8"
    )
    own = {**os.environ, "GIT_CONFIG_GLOBAL": str(config)}
    written = await writing.Writer(desk.repository.url, own).restore(ORDER, "x", old)
    assert "BEGIN SSH SIGNATURE" in desk.repository.git("cat-file", "commit", written.commit)
