"""*Failures are early and loud.* Phase, resource, file and line, commit and author, reason, next step."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.world import World


def test_an_error_says_what_where_why_and_what_next(world: World) -> None:
    """In `status`, in history and as an event, once."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    first = world.push()
    world.start()
    world.settled("site", first)
    world.write(
        "site/host.yaml",
        "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n  files:\n    - {path: /a.txt, source: files/nothing.txt}\n",
    )
    bad = world.push("Break it", "Bob Builder <bob@example.org>")
    world.until(lambda: world.state_of("site") == "failing")
    failure = world.glance("site")["failure"]

    assert failure["code"].startswith("UD4")
    assert failure["where"].startswith("site/host.yaml:5")
    assert failure["author"] == "Bob Builder <bob@example.org>"
    assert bad in failure["revision"]
    assert failure["hint"]

    shown = world.cli("status", "site")
    assert shown.returncode == 3
    assert "site/host.yaml:5" in shown.stdout
    failed = [
        one for one in world.client.events("site") if one["kind"] == "Failed" and bad in one["revision"]
    ]
    assert len(failed) == 1


def test_git_that_goes_away_is_told_once_and_its_end_too(world: World) -> None:
    """Meanwhile drift goes on being repaired, from the last good revision."""
    world.declare("site")
    world.files("site", {"/a.txt": "one"})
    commit = world.push()
    world.start()
    world.settled("site", commit)
    away = world.repository.rename(world.root / "away.git")
    world.until(lambda: any(one["error"] for one in world.client.agent()["sources"]))
    (world.target / "a.txt").write_text("hacked", encoding="utf-8")
    world.until(lambda: world.tree() == {"/a.txt": "one"})
    away.rename(world.repository)
    world.files("site", {"/a.txt": "two"})
    world.settled("site", world.push())

    told = [one for one in world.client.events("source/config") if one["kind"] == "Failed"]
    assert len(told) == 1


def test_a_cycle_of_dependencies_is_spelled_out(world: World) -> None:
    """As an error of the configuration."""
    world.declare("one", "dependsOn: [two]")
    world.declare("two", "dependsOn: [one]")
    world.declare("site")
    for name in ("one", "two", "site"):
        world.files(name, {f"/{name}.txt": "x"})
    commit = world.push()
    world.start()
    world.settled("site", commit)

    codes = {error["code"] for error in world.client.agent()["errors"]}
    assert "UD104" in codes
    assert world.tree() == {"/site.txt": "x"}


class Receiver(http.server.ThreadingHTTPServer):
    """Takes messages; says no while `refusing`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.refusing = False
        self.taken: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), Taking)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def texts(self) -> list[str]:
        """The messages that were taken, in order, each id once."""
        return [one["data"]["text"] for one in {one["id"]: one for one in self.taken}.values()]


class Taking(http.server.BaseHTTPRequestHandler):
    """One message."""

    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (self.server.refused if self.server.refusing else self.server.taken).append(body)
        self.send_response(503 if self.server.refusing else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Nobody reads it."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


NOTIFIER = """\
apiVersion: undrift.dev/v1
kind: Notifier
metadata: {name: people}
spec: {kind: webhook, url: {env: PEOPLE}, events: [Failed, Recovered], applications: ["site"]}
"""


def test_a_failure_is_raised_once_and_resolved_when_it_ends(world: World, receiver: Receiver) -> None:
    """Through a receiver that is away for a while and an agent that dies; quiet while the state lasts."""
    world.environment["PEOPLE"] = receiver.url
    world.write("undrift/people.yaml", NOTIFIER)
    world.declare("site")
    world.files("site", {"/a": "one"})
    world.start()
    world.settled("site", world.push())
    receiver.refusing = True
    world.write("site/host.yaml", "kind: [\n")
    world.push("Break it")
    world.until(lambda: receiver.refused)
    world.kill()
    receiver.refusing = False
    world.start()
    # Who dies while sending holds the message for a minute: nobody can know whether it went out.
    world.until(receiver.texts, 90)
    for _ in range(3):
        world.client.reconcile("site")
    (world.target / "a").unlink()
    world.until(lambda: world.tree() == {"/a": "one"})
    assert len(receiver.texts()) == 1
    assert receiver.texts()[0].startswith("Failed site:")
    assert "site/host.yaml:2" in receiver.texts()[0]
    assert {one["id"] for one in receiver.refused} == {one["id"] for one in receiver.taken}

    world.files("site", {"/a": "two"})
    world.settled("site", world.push("Mend it"))

    world.until(lambda: len(receiver.texts()) == 2)
    assert receiver.texts()[1].startswith("Recovered site:")
    assert receiver.url not in world.log.read_text(encoding="utf-8")
