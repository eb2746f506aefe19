"""What a real agent tells CI: on a ref of its own, in a real repository over HTTP, read as CI reads it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from tests.e2e import world
from undrift import errors
from undrift.model import health, report
from undrift.providers.hosts import supervision
from undrift.testing import git_http, git_server

_T = TypeVar("_T")
pytestmark = pytest.mark.timeout(300)
AGENT = """\
apiVersion: undrift.dev/v1
kind: Agent
metadata: {{name: main}}
spec:
  reports: [{{interval: 200ms, heartbeat: 10m{more}}}]
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: host}}
spec: {{provider: hosts, agent: main, settings: {{root: {root}}}}}
"""
HOOK = """\
#!/bin/sh
while read -r old new ref; do
  case "$ref" in refs/undrift/*) echo "reports are not welcome here" >&2; exit 1 ;; esac
done
"""
REF = f"{report.REFS}main"


class Observed(world.World):
    """A world whose repository is behind HTTP, and whose agent reports."""

    def __init__(self, root: pathlib.Path, server: git_server.GitServer) -> None:
        super().__init__(root)
        self.server = server

    def begin(self, more: str = "") -> str:
        """A repository with one application; the agent is started. Returns the commit."""
        self.create()
        self.git("config", "http.receivepack", "true", where=self.repository)
        self.write("undrift/agent.yaml", AGENT.format(root=self.target, more=more))
        self.declare("web", "interval: 1s")
        self.files("web", {"/etc/motd": "one"})
        commit = self.push()
        self.start()
        return commit

    def until(self, find: Callable[[], _T], patience: float = 90.0) -> _T:
        """As in any world, with more patience: an agent may be started on a busy machine, twice."""
        return super().until(find, patience)

    def command(self) -> list[str]:
        """As in any world, but over HTTP."""
        return [self.url if part == str(self.repository) else part for part in super().command()]

    @property
    def url(self) -> str:
        """Where the repository is served."""
        return f"{self.server.url}/{self.repository.name}"

    def ref(self) -> str:
        """Where the ref is; "" while there is none."""
        return self.git("for-each-ref", "--format=%(objectname)", REF, where=self.repository).strip()

    def told(self, name: str = "web") -> report.Report | None:
        """The report on an application."""
        if not self.ref() or f"{name}.json" not in self.names():
            return None
        return report.decode(self.git("show", f"{REF}:{name}.json", where=self.repository).encode())

    def names(self) -> list[str]:
        """The files of the ref."""
        return self.git("ls-tree", "--name-only", REF, where=self.repository).split()

    def published(self) -> str:
        """Git's id of the application's folder on the branch."""
        return self.git("rev-parse", "main:web", where=self.repository).strip()

    def hears(self, tree: str, status: health.Status = health.Status.HEALTHY) -> report.Report:
        """Wait for a report on a tree."""

        def find() -> report.Report | None:
            told = self.told()
            return told if told and (told.tree, told.health) == (tree, status) else None

        found = self.until(find)
        assert found is not None
        return found


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[git_server.GitServer]:
    with git_server.GitServer(tmp_path) as made:
        yield made


@pytest.fixture
def place(tmp_path: pathlib.Path, server: git_server.GitServer) -> Iterator[Observed]:
    made = Observed(tmp_path, server)
    yield made
    if made.process is not None:
        made.stop()
    asyncio.run(supervision.shut_down(str(made.target / ".undrift")))
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_change_is_reported_within_seconds(place: Observed) -> None:
    """Tree, revision, health and since when; on the agent's own ref and on no branch."""
    first = place.begin()
    before = place.hears(place.published())

    assert (before.application, before.agent, before.path) == ("web", "main", "web")
    assert (before.revision, before.seen, before.reason) == (first, first, "")
    assert before.since <= before.observed <= time.time()
    assert not before.silent(time.time())

    place.files("web", {"/etc/motd": "two"})
    second = place.push()
    pushed = time.monotonic()
    after = place.hears(place.published())

    assert time.monotonic() - pushed < 30
    assert after.revision == second
    assert after.since > before.since
    assert place.git("rev-list", "--count", REF, where=place.repository).strip() == "1"
    assert place.git("rev-parse", "main", where=place.repository).strip() == second


def test_what_does_not_concern_an_application_breaks_nothing(place: Observed) -> None:
    """A commit that leaves its files alone is no news, and an application that left Git is no more told of."""
    place.begin()
    before = place.hears(place.published())
    place.declare("other", "interval: 1s")
    place.files("other", {"/etc/other": "x"})
    place.push()
    place.until(lambda: place.told("other"))

    found = place.told()
    assert found is not None
    assert (found.since, found.tree) == (before.since, before.tree)

    place.write("undrift/other.yaml", None)
    place.push()
    place.until(lambda: place.names() == ["web.json"])


def test_degraded_is_told_and_ends_what_has_held_since(place: Observed, tmp_path: pathlib.Path) -> None:
    """Nothing changed in Git: a probe fails, and is well again."""
    flag = tmp_path / "well"
    flag.touch()
    place.begin()
    service = f"""\
  services:
    - name: web
      manager: supervisor
      command: [sleep, "1000"]
      health: {{command: [test, -e, {flag}], within: 1s}}
"""
    place.files("web", {"/etc/motd": "one"}, service)
    place.push()
    tree = place.published()
    before = place.hears(tree)
    flag.unlink()
    bad = place.hears(tree, health.Status.DEGRADED)
    flag.touch()
    after = place.hears(tree)

    assert "web" in bad.reason
    assert before.since < bad.since < after.since


def test_a_restart_keeps_since(place: Observed) -> None:
    """Also when everything that the agent remembers is gone: the ref says it."""
    place.begin()
    before = place.hears(place.published())
    ref = place.ref()
    place.kill()
    shutil.rmtree(place.state)
    time.sleep(1.2)
    place.start()
    place.until(lambda: place.ref() != ref)
    after = place.hears(place.published())

    assert after.since == before.since
    assert after.observed > before.observed


def test_who_was_away_for_long_cannot_vouch_for_the_time(place: Observed) -> None:
    """`since` begins anew after a silence that was longer than promised."""
    place.begin()
    before = place.hears(place.published())
    place.kill()
    old = json.loads(before.encode()) | {"observed": before.observed - 7200, "since": before.since - 7200}
    _put(place, {"web.json": json.dumps(old)})
    place.start()
    place.until(lambda: (found := place.told()) is not None and found.since >= before.since)
    after = place.told()

    assert after is not None
    assert after.since > before.observed


def _put(place: Observed, files: dict[str, str]) -> None:
    """Write a ref as an agent does."""
    rows = []
    for name, text in files.items():
        blob = _given(place, ["hash-object", "-w", "--stdin"], text)
        rows.append(f"100644 blob {blob}\t{name}\n")
    tree = _given(place, ["mktree"], "".join(rows))
    commit = place.git("commit-tree", "-m", "x", tree, where=place.repository).strip()
    place.git("update-ref", REF, commit, where=place.repository)


def _given(place: Observed, arguments: list[str], text: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=place.repository,
        input=text,
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_a_push_that_is_refused_disturbs_nobody(place: Observed) -> None:
    """It is told once, applications go on, and reports come when they are let in."""
    place.create()
    hook = place.repository / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK, "utf-8")
    hook.chmod(0o755)
    place.git("config", "http.receivepack", "true", where=place.repository)
    place.write("undrift/agent.yaml", AGENT.format(root=place.target, more=""))
    place.declare("web", "interval: 1s")
    for number in range(3):
        place.files("web", {"/etc/motd": f"{number}"})
        commit = place.push()
        if not number:
            place.start()
        place.settled("web", commit)
    place.until(lambda: _events(place, "Failed"))
    time.sleep(1.5)

    assert place.ref() == ""
    [event] = _events(place, "Failed")
    assert event["code"] == "UD202"
    assert "not welcome" in event["text"]

    hook.unlink()
    place.hears(place.published())
    place.until(lambda: _events(place, "Recovered"))


def _events(place: Observed, kind: str) -> list[dict[str, Any]]:
    """What history has of the reports."""
    with contextlib.suppress(errors.AgentUnavailable):
        return [one for one in place.client.events("reports/config") if one["kind"] == kind]
    return []


def test_it_writes_with_credentials_of_their_own(place: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may read need not be allowed to write; neither shows in log or ref."""
    place.server.behaviour.users = {"reader": "r3ad", "writer": "wr1te"}
    place.environment |= {
        "UNDRIFT_GIT_USERNAME": "reader",
        "UNDRIFT_GIT_PASSWORD": "r3ad",
        "WRITER": "writer",
        "WRITE": "wr1te",
    }
    asked: list[str] = []
    admits = git_http.Behaviour.admits

    def noted(self: git_http.Behaviour, authorization: str) -> bool:
        asked.append(authorization)
        return admits(self, authorization)

    monkeypatch.setattr(git_http.Behaviour, "admits", noted)
    place.begin(", authentication: {username: {env: WRITER}, password: {env: WRITE}}")
    place.hears(place.published())

    assert len({one for one in asked if one}) == 2
    log = place.log.read_text("utf-8")
    assert "wr1te" not in log
    assert "r3ad" not in log
