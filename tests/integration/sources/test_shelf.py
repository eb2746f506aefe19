"""Small files on refs of their own, on a real server: read, replaced by compare-and-set, refused."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.sources import conftest
from undrift import errors
from undrift.model import source
from undrift.sources import connecting, credentials
from undrift.sources.git import remote, shelf
from undrift.testing import git_server

PREFIX = "refs/undrift/reports/"
Open = Callable[..., shelf.Shelf]


@pytest.fixture
async def open_shelf() -> AsyncIterator[Open]:
    """Shelves of a repository, each with a store of its own."""
    async with contextlib.AsyncExitStack() as stack:
        web = connecting.Web()
        stack.push_async_callback(web.close)

        def start(url: str, **parts: object) -> shelf.Shelf:
            place = remote.Remote(conftest.declare(url, **parts), credentials.EnvironmentSecrets(), web)
            made = shelf.Shelf(place.access, place.address.shown, PREFIX)
            stack.push_async_callback(made.close)
            stack.push_async_callback(place.close)
            return made

        yield start


async def test_what_is_put_there_is_read_by_others(desk: conftest.Desk, open_shelf: Open) -> None:
    """And it is on no branch, has no history, and holds nothing else."""
    desk.repository.commit({"a": "b"})
    one, two = open_shelf(desk.repository.url), open_shelf(desk.repository.url)
    assert await two.read() == {}

    first = await one.replace("main", {"web.json": b"1\n", "db.json": b""}, None)
    second = await one.replace("main", {"web.json": b"2 \xff"}, first)

    assert second is not None
    assert await two.read() == {"main": second}
    assert await two.read("other") == {}
    assert desk.repository.git("rev-list", "--count", f"{PREFIX}main") == "1"
    assert desk.repository.git("for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/main"


async def test_only_one_of_two_wins(desk: conftest.Desk, open_shelf: Open) -> None:
    """The other reads again, and loses nothing of what the first one wrote."""
    one, two = open_shelf(desk.repository.url), open_shelf(desk.repository.url)
    assert await one.replace("main", {"a": b"1"}, None) is not None
    assert await two.replace("main", {"b": b"1"}, None) is None

    seen = (await two.read())["main"]
    assert await two.replace("main", {**seen.files, "b": b"1"}, seen) is not None
    assert await one.replace("main", {"a": b"2"}, seen) is None
    assert (await one.read())["main"].files == {"a": b"1", "b": b"1"}


async def test_every_agent_has_its_own(desk: conftest.Desk, open_shelf: Open) -> None:
    one = open_shelf(desk.repository.url)
    await one.replace("one", {"a": b"1"}, None)
    await one.replace("two", {"a": b"2"}, None)

    assert {name: each.files["a"] for name, each in (await one.read()).items()} == {"one": b"1", "two": b"2"}


async def test_a_server_that_says_no(desk: conftest.Desk, open_shelf: Open) -> None:
    hook = desk.repository.path / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n", "utf-8")
    hook.chmod(0o755)
    with pytest.raises(errors.SourceDenied, match="not today"):
        await open_shelf(desk.repository.url).replace("main", {"a": b"1"}, None)


async def test_a_server_that_is_away(desk: conftest.Desk, open_shelf: Open) -> None:
    one = open_shelf(desk.repository.url)
    desk.server.stop()
    with pytest.raises(errors.SourceUnavailable):
        await one.read()
    with pytest.raises(errors.SourceUnavailable):
        await one.replace("main", {"a": b"1"}, None)


async def test_credentials_are_used_and_do_not_show(
    desk: conftest.Desk, open_shelf: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.behaviour.users = {"x-access-token": "s3cret"}
    monkeypatch.setenv("GOOD", "s3cret")
    monkeypatch.setenv("BAD", "wr0ng")
    good, bad = (
        open_shelf(
            desk.repository.url, authentication=source.Authentication(token=source.Credential(env=name))
        )
        for name in ("GOOD", "BAD")
    )
    assert await good.replace("main", {"a": b"1"}, None) is not None
    with pytest.raises(errors.SourceDenied) as refused:
        await bad.read()

    assert "wr0ng" not in str(refused.value)


async def test_what_is_no_commit_of_files_is_as_good_as_empty(desk: conftest.Desk, open_shelf: Open) -> None:
    """Somebody put something else there: it is replaced like anything."""
    blob = desk.repository.git("hash-object", "-w", "--stdin", given=b"x")
    desk.repository.git("update-ref", f"{PREFIX}main", blob)
    one = open_shelf(desk.repository.url)
    seen = (await one.read())["main"]

    assert seen.files == {}
    assert await one.replace("main", {"a": b"1"}, seen) is not None


async def test_ids_of_64_digits(tmp_path: pathlib.Path, open_shelf: Open) -> None:
    path = tmp_path / "long.git"
    git_server.run(["git", "init", "-q", "--bare", "--object-format=sha256", str(path)])
    one = open_shelf(path.as_uri())
    first = await one.replace("main", {"a": b"1"}, None, digest="sha256")

    assert first is not None
    assert await open_shelf(path.as_uri()).read() == {"main": first}
