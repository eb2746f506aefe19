"""What anybody may send to the agent's socket: a clear answer each time, and nothing happens that was not asked for."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import socket
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import world as worlds
from tests.e2e.world import World


class Connection(http.client.HTTPConnection):
    """HTTP on the agent's socket."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__("agent", timeout=20)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self.path))


def ask(world: World, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    """One request; the status and the JSON of the answer."""
    connection = Connection(world.state / "agent.sock")
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def waiting(world: World) -> str:
    """Start an agent with an application that waits for an approval; returns the digest of its plan."""
    world.declare("site", "policy: {mode: approval}")
    world.files("site", {"/a": "one"})
    world.push()
    world.start()
    world.until(lambda: "UD606" in world.codes("site"))
    return str(world.glance("site")["digest"])


@pytest.fixture
def site(world: World) -> str:
    """An application that waits for an approval."""
    return waiting(world)


@pytest.fixture(scope="module")
def asked() -> Iterator[World]:
    """One agent for all that changes nothing, whose application waits for an approval."""
    with worlds.world(pathlib.Path(tempfile.mkdtemp(prefix="undrift-e2e-"))) as made:
        waiting(made)
        yield made


ONE = "/v1/applications/site"


@pytest.mark.parametrize(
    "method, path, body, status, code",
    [
        ("GET", "/v1/nothing", None, 404, "UD805"),
        ("DELETE", ONE, None, 405, "UD805"),
        ("GET", "/v1/applications/sites", None, 404, "UD802"),
        ("GET", "/v1/applications/%2e%2e%2fetc", None, 404, "UD805"),
        ("POST", f"{ONE}/approve", b"{", 422, "UD805"),
        ("POST", f"{ONE}/approve", b"[" * 100_000, 422, "UD805"),
        ("POST", f"{ONE}/approve", b"[]", 422, "UD805"),
        ("POST", f"{ONE}/approve", b"\xff", 422, "UD805"),
        ("POST", f"{ONE}/approve", b"{}", 422, "UD805"),
        ("POST", f"{ONE}/approve", b'{"digest": 7}', 422, "UD805"),
        ("POST", f"{ONE}/approve", b'{"digest": ""}', 409, "UD803"),
        ("POST", f"{ONE}/approve", b'{"digest": "sha256:0123456789"}', 409, "UD803"),
        ("POST", f"{ONE}/hold", b"{}", 422, "UD805"),
        ("POST", f"{ONE}/hold", b'{"seconds": -1}', 422, "UD805"),
        ("POST", f"{ONE}/hold", b'{"seconds": Infinity}', 422, "UD805"),
        ("POST", f"{ONE}/hold", b'{"seconds": NaN}', 422, "UD805"),
        ("POST", f"{ONE}/hold", b'{"seconds": true}', 422, "UD805"),
        ("GET", "/v1/history?limit=-1", None, 422, "UD805"),
        ("GET", "/v1/history?limit=99999999999999999999", None, 422, "UD805"),
        ("GET", "/v1/history?before=x", None, 422, "UD805"),
        ("GET", "/v1/history?application=nobody", None, 404, "UD802"),
    ],
)
def test_what_makes_no_sense(
    asked: World, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    """Each has the status and the code that fit, and nothing was done."""
    answered, told = ask(asked, method, path, body)

    assert (answered, told["code"]) == (status, code)
    assert told["what"]
    assert asked.tree() == {}
    assert asked.glance("site")["hold"] is None


def test_a_digest_may_be_shortened_but_not_guessed(world: World, site: str) -> None:
    """Eight digits and more are enough, seven are not."""
    digits = site.removeprefix("sha256:")
    for given in (digits[:7], digits[:8][:-1] + "z", digits + "0"):
        assert ask(world, "POST", f"{ONE}/approve", json.dumps({"digest": given}).encode())[0] == 409
    assert world.tree() == {}

    assert ask(world, "POST", f"{ONE}/approve", json.dumps({"digest": digits[:8]}).encode())[0] == 200

    world.until(lambda: world.tree() == {"/a": "one"})
    (order,) = [one for one in world.client.events("site") if one["kind"] == "OrderGiven"]
    assert order["order"] == "approve"


def test_the_agent_counts_what_is_in_sync(world: World, site: str) -> None:
    """For who watches many: a number instead of a list."""
    assert [world.client.agent()[name] for name in ("applications", "in_sync")] == [1, 0]
    world.client.approve("site", site)
    world.until(lambda: world.client.agent()["in_sync"] == 1)


def test_history_comes_in_pages(world: World, site: str) -> None:
    """Newest first, each once, however large the page is asked to be."""
    world.cli("approve", "site", site)
    world.until(lambda: world.state_of("site") == "in sync")
    whole = ask(world, "GET", "/v1/history?limit=500")[1]["history"]
    pages = []
    before = ""
    while True:
        page = ask(world, "GET", f"/v1/history?limit=1{before}")[1]["history"]
        if not page:
            break
        pages += page
        before = f"&before={page[0]['number']}"

    assert pages == whole
    assert len({one["number"] for one in whole}) == len(whole) >= 2
    assert [one["number"] for one in whole] == sorted((one["number"] for one in whole), reverse=True)


def test_only_its_own_user_gets_in(world: World, site: str) -> None:
    """And what the user orders is written down under the name that the kernel vouches for."""
    assert stat.S_IMODE((world.state / "agent.sock").stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(world.state.stat().st_mode) & 0o077 == 0

    assert world.cli("approve", "site", site).returncode == 0

    (line,) = [json.loads(line) for line in (world.state / "audit.jsonl").read_text("utf-8").splitlines()]
    assert line["order"] == "approve"
    assert line["by"] == os.environ.get("USER", "root") or os.geteuid() == 0


def test_a_commit_that_an_order_finds_is_told_to_all(world: World, site: str) -> None:
    """`reconcile` of one application polls its repository: the others hear of it, too, without waiting."""
    world.stop()
    world.declare("other")
    world.files("other", {"/other": "one"})
    world.start([word if word != "500ms" else "1h" for word in world.command()])
    world.until(lambda: world.state_of("site") == "waiting")
    world.files("other", {"/other": "two"})
    world.push()

    assert ask(world, "POST", f"{ONE}/reconcile", b"{}")[0] == 200

    world.until(lambda: world.tree() == {"/other": "two"})
    assert site
