"""Services of a host that has no systemd, run by a real supervisord."""

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from typing import Any

import psutil

from tests.integration.providers import world
from undrift.model import health, plan, record
from undrift.providers.hosts import provider, speaking, supervision


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def web(port: int, more: str = "") -> dict[str, str]:
    return {
        "host.yaml": world.manifest(f"""
  vars: {{port: {port}}}
  directories: [{{path: /www, source: files/www}}]
  services:
    - name: web
      command: ["{sys.executable}", -m, http.server, "{{{{ port }}}}", --bind, 127.0.0.1]
      directory: /www
      restartOn: [/www]
      health: {{http: "http://127.0.0.1:{{{{ port }}}}/index.html", within: 10s}}
{more}"""),
        "files/www/index.html": "one",
    }


def service(name: str, command: list[str], more: str = "") -> dict[str, str]:
    return {"host.yaml": world.manifest(f"  services:\n    - {{name: {name}, command: {command!r}{more}}}\n")}


def told_processes(here: world.World) -> dict[str, Any]:
    place = supervision.layout(str(here.root / ".undrift"))
    found = speaking.ask(place.socket, "supervisor.getAllProcessInfo")
    return {one["name"]: one for one in found}


async def read(port: int) -> str:
    def ask() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/index.html", timeout=5) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(ask)


async def test_a_service_is_started_and_healthy_when_it_answers(here: world.World) -> None:
    port = free_port()
    here.commit(web(port))

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert told.health == health.HEALTHY
    assert await read(port) == "one"
    again = await here.reconcile()
    assert again.ending is record.Ending.IN_SYNC, again.plan
    assert again.plan is not None
    assert not again.plan.changes


async def test_a_changed_file_restarts_the_service_visibly(here: world.World) -> None:
    port = free_port()
    files = web(port)
    here.commit(files)
    await here.reconcile()
    before = told_processes(here)["web"]["pid"]
    here.commit({**files, "files/www/index.html": "two"})

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert told.plan is not None
    assert [str(change.id) for change in told.plan.changes] == ["File//www/index.html", "Service/web"]
    assert [field.path for field in told.plan.changes[1].fields] == ["trigger"]
    assert told_processes(here)["web"]["pid"] != before
    assert await read(port) == "two"


async def test_a_stopped_service_and_a_dead_daemon_are_drift(here: world.World) -> None:
    here.commit(service("idle", ["sleep", "1000"]))
    await here.reconcile()
    place = supervision.layout(str(here.root / ".undrift"))
    speaking.ask(place.socket, "supervisor.stopProcess", "idle")

    told = await here.reconcile()

    assert told.plan is not None
    assert [(change.action, change.reason) for change in told.plan.changes] == [
        (plan.Action.UPDATE, plan.Reason.DRIFT)
    ]
    assert told_processes(here)["idle"]["statename"] in {"STARTING", "RUNNING"}
    daemon = int((place.folder / "supervisord.pid").read_text())
    child = told_processes(here)["idle"]["pid"]
    os.kill(daemon, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    while speaking.answers(place.socket):  # noqa: ASYNC110 - the system closes it
        await asyncio.sleep(0.01)
    told = await here.reconcile()
    assert told.ending is record.Ending.APPLIED, told.failure
    assert told_processes(here)["idle"]["statename"] in {"STARTING", "RUNNING"}


async def test_a_crash_loop_is_degraded_and_shows_what_the_program_wrote(here: world.World) -> None:
    here.commit(service("bad", [sys.executable, "-c", "raise SystemExit('no such database')"]))

    told = await here.reconcile(policy={"health_timeout": 4.0})

    assert told.failure is not None
    assert told.failure.error.code == "UD507"
    assert "no such database" in told.failure.error.why
    assert (await here.reconcile(dry=True)).health.status is health.Status.DEGRADED


async def test_words_arrive_as_they_are_written(here: world.World) -> None:
    """Nothing is lost on the way through supervisor's files: signs of comments, percents, quotes, spaces."""
    words = ["a ;b", "c # d", "100%", "it's", 'say "hi"', "%(here)s", "\\", "é", ""]
    code = "import sys,json,os,time;json.dump([sys.argv[1:],os.environ['X']],open('out','w'));time.sleep(100)"
    spec = world.manifest("  services:\n    - name: echo\n")
    command = "".join(f"        - {json.dumps(word)}\n" for word in [sys.executable, "-c", code, *words])
    here.commit({"host.yaml": f"{spec}      command:\n{command}      environment: {{X: 'a% b\"c'}}\n"})

    told = await here.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert json.loads((here.root / "out").read_text()) == [words, 'a% b"c']


async def test_what_supervisor_cannot_take_is_refused_with_its_place(here: world.World) -> None:
    here.commit(service("odd", ["sleep", "9"], ", environment: {A: 'x ;y'}"))

    told = await here.reconcile()

    assert told.failure is not None
    error = told.failure.error
    assert error.code == "UD401"
    assert str(error.origin) == "site/host.yaml:5:7"


async def test_a_hand_edited_program_is_put_right(here: world.World) -> None:
    here.commit(service("idle", ["sleep", "1000"]))
    await here.reconcile()
    place = supervision.layout(str(here.root / ".undrift"))
    path = place.program("idle")
    path.write_text(path.read_text().replace("command=sleep 1000", "command=sleep 5"))
    speaking.ask(place.socket, "supervisor.reloadConfig")

    told = await here.reconcile()

    assert told.plan is not None
    assert [field.path for field in told.plan.changes[0].fields] == ["command"]
    assert psutil.Process(told_processes(here)["idle"]["pid"]).cmdline() == ["sleep", "1000"]
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC


async def test_a_service_that_leaves_git_is_stopped_and_the_last_takes_the_daemon_along(
    here: world.World,
) -> None:
    both = service("one", ["sleep", "1001"])
    both["host.yaml"] += "    - {name: two, command: [sleep, '1002']}\n"
    here.commit(both)
    await here.reconcile()
    pids = {name: one["pid"] for name, one in told_processes(here).items()}
    place = supervision.layout(str(here.root / ".undrift"))
    daemon = psutil.Process(int((place.folder / "supervisord.pid").read_text()))
    here.commit(service("one", ["sleep", "1001"]))

    assert (await here.reconcile(policy={"deletion_limit": world.UNLIMITED})).ending is record.Ending.APPLIED

    assert told_processes(here)["one"]["pid"] == pids["one"]
    assert not psutil.pid_exists(pids["two"])
    here.commit({"host.yaml": world.manifest("  services: []\n")})
    told = await here.reconcile(policy={"allow_empty": True, "deletion_limit": world.UNLIMITED})
    assert told.ending is record.Ending.APPLIED, told.failure
    daemon.wait(timeout=5)
    assert not psutil.pid_exists(pids["one"])


async def test_an_operator_restarts_and_stops_through_git(here: world.World) -> None:
    here.commit(service("idle", ["sleep", "1000"]))
    await here.reconcile()
    first = told_processes(here)["idle"]["pid"]
    here.commit(service("idle", ["sleep", "1000"], ", restartedAt: '2026-01-01'"))
    assert (await here.reconcile()).ending is record.Ending.APPLIED
    second = told_processes(here)["idle"]["pid"]
    assert second not in {0, first}
    here.commit(service("idle", ["sleep", "1000"], ", restartedAt: '2026-01-01', state: stopped"))
    assert (await here.reconcile()).ending is record.Ending.APPLIED
    assert told_processes(here)["idle"]["statename"] == "STOPPED"
    assert (await here.reconcile()).ending is record.Ending.IN_SYNC


async def test_services_outlive_the_agent_and_do_not_see_its_environment(
    here: world.World, monkeypatch: Any
) -> None:
    monkeypatch.setenv("UNDRIFT_TOKEN", "s3cret")
    here.commit(service("idle", ["sleep", "1000"]))
    await here.reconcile()
    pid = told_processes(here)["idle"]["pid"]

    await here.close()
    here.provider = provider.HostsProvider()

    assert (await here.reconcile()).ending is record.Ending.IN_SYNC
    assert told_processes(here)["idle"]["pid"] == pid
    assert "UNDRIFT_TOKEN" not in psutil.Process(pid).environ()
