"""Services of a host that systemd runs: a machine of its own, booted from a throw-away copy of this one.

The first test boots it (systemd-nspawn, as root, nothing of it reaches the disk or the network) and runs the others
in there.
"""

import asyncio
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests import peers
from tests.integration.providers import world
from undrift.model import health, plan, record

INSIDE = "UNDRIFT_TEST_MACHINE"
inside = pytest.mark.skipif(INSIDE not in os.environ, reason="run by the test that boots a machine")
UNITS = pathlib.Path("/etc/systemd/system")


@contextlib.contextmanager
def booted(folder: pathlib.Path) -> Iterator[int]:
    """The pid of the first process of a machine."""
    root = folder / "root"
    root.mkdir()
    done = subprocess.run(["mount", "--bind", "/", root], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounts are not allowed here")
    seen = {pathlib.Path(sys.executable).resolve().parents[1], pathlib.Path(__file__).resolve().parents[3]}
    command = [
        *(
            "systemd-nspawn",
            "-D",
            str(root),
            "--volatile=overlay",
            "--boot",
            f"--machine=undrift-{os.getpid()}",
        ),
        *(
            "--register=no",
            "--keep-unit",
            "--link-journal=no",
            "--private-network",
            "--tmpfs=/var/lib/undrift",
        ),
        *(f"--bind={path}" for path in seen),
        "systemd.unit=basic.target",
    ]
    with (folder / "log").open("wb") as log:
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield _leader(machine, folder / "log")
    finally:
        # The machine outlives who made it: its first process takes all others with it.
        for child in _children(machine):
            os.kill(child, signal.SIGKILL)
        machine.kill()
        machine.wait()
        subprocess.run(["umount", "-l", root], check=True)


def _leader(machine: "subprocess.Popen[bytes]", log: pathlib.Path) -> int:
    end = time.monotonic() + 30
    while time.monotonic() < end and machine.poll() is None:
        for child in _children(machine):
            asked = ["nsenter", "-t", str(child), "-a", "systemctl", "is-system-running"]
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            if done.stdout.strip() in {"running", "degraded"}:
                return child
        time.sleep(0.1)
    pytest.skip(f"no machine can be booted here: {log.read_text(errors='replace')[-300:]}")


def _children(machine: "subprocess.Popen[bytes]") -> list[int]:
    try:
        told = pathlib.Path(f"/proc/{machine.pid}/task/{machine.pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in told.split()]


@pytest.mark.skipif(os.geteuid() != 0, reason="a machine needs root")
@pytest.mark.skipif(INSIDE in os.environ, reason="this is the machine")
def test_a_host_with_systemd(tmp_path: pathlib.Path) -> None:
    peers.require_peer("systemd-nspawn")
    with booted(tmp_path) as pid:
        arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
        done = subprocess.run(
            [
                "nsenter",
                "-t",
                str(pid),
                "-a",
                "env",
                f"--chdir={pathlib.Path.cwd()}",
                f"{INSIDE}=1",
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> world.World:
    return world.World(pathlib.Path("/"), {"state": str(tmp_path / "state")})


def show(name: str, what: str) -> str:
    asked = ["systemctl", "show", "--value", f"--property={what}", f"{name}.service"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def process(name: str, what: str) -> list[bytes]:
    return pathlib.Path(f"/proc/{show(name, 'MainPID')}/{what}").read_bytes().split(b"\0")


def systemctl(*words: str) -> None:
    subprocess.run(["systemctl", *words], check=True, capture_output=True)


def service(name: str, command: list[str], more: str = "") -> dict[str, str]:
    return {"host.yaml": world.manifest(f"  services:\n    - {{name: {name}, command: {command!r}{more}}}\n")}


@inside
async def test_a_unit_is_made_enabled_and_runs(machine: world.World) -> None:
    words = ["sleep", "1000"]
    machine.commit(service("undrift-one", words, ", environment: {A: 'x y\"%n $HOME'}"))

    told = await machine.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert told.health == health.HEALTHY
    assert (show("undrift-one", "ActiveState"), show("undrift-one", "UnitFileState")) == ("active", "enabled")
    assert b'A=x y"%n $HOME' in process("undrift-one", "environ")
    again = await machine.reconcile()
    assert again.ending is record.Ending.IN_SYNC, again.plan
    await machine.close()


@inside
@pytest.mark.parametrize("drift", ["stop", "disable", "edit", "edit and load"])
async def test_what_an_operator_does_by_hand_is_drift(machine: world.World, drift: str) -> None:
    name = f"undrift-{drift.replace(' ', '-')}"
    machine.commit(service(name, ["sleep", "1000"]))
    await machine.reconcile()
    path = UNITS / f"{name}.service"
    if drift.startswith("edit"):
        path.write_text(path.read_text().replace('ExecStart="sleep" "1000"', "ExecStart=sleep 5"))
        if drift.endswith("load"):
            systemctl("daemon-reload")
    else:
        systemctl(drift, name)

    told = await machine.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert told.plan is not None
    assert {change.reason for change in told.plan.changes} == {plan.Reason.DRIFT}
    assert (show(name, "ActiveState"), show(name, "UnitFileState")) == ("active", "enabled")
    assert process(name, "cmdline") == [b"sleep", b"1000", b""]
    assert (await machine.reconcile()).ending is record.Ending.IN_SYNC


@inside
async def test_a_restart_is_asked_for_in_git_and_a_prune_leaves_nothing(machine: world.World) -> None:
    machine.commit(service("undrift-two", ["sleep", "1000"]))
    await machine.reconcile()
    first = show("undrift-two", "MainPID")
    machine.commit(service("undrift-two", ["sleep", "1000"], ", restartedAt: again"))
    assert (await machine.reconcile()).ending is record.Ending.APPLIED
    assert show("undrift-two", "MainPID") not in {first, "0"}
    assert (await machine.reconcile()).ending is record.Ending.IN_SYNC
    machine.commit({"host.yaml": world.manifest("  services: []\n")})

    told = await machine.reconcile(policy={"allow_empty": True, "deletion_limit": world.UNLIMITED})

    assert told.ending is record.Ending.APPLIED, told.failure
    assert show("undrift-two", "LoadState") == "not-found"
    assert not (UNITS / "undrift-two.service").exists()


@inside
async def test_a_crash_loop_is_degraded(machine: world.World) -> None:
    machine.commit(service("undrift-bad", ["/bin/false"]))

    told = await machine.reconcile(policy={"health_timeout": 4.0})

    assert told.failure is not None
    assert told.failure.error.code == "UD507"
    machine.commit(service("undrift-bad", ["sleep", "1000"]))
    assert (await machine.reconcile()).ending is record.Ending.APPLIED


@inside
async def test_a_unit_of_the_system_is_adopted_and_left_running_in_the_end(machine: world.World) -> None:
    path = UNITS / "packaged.service"
    path.write_text("[Service]\nExecStart=sleep 1000\n[Install]\nWantedBy=multi-user.target\n")
    systemctl("daemon-reload")
    machine.commit({"host.yaml": world.manifest("  services: [{name: packaged}]\n")})
    told = await machine.reconcile()
    assert told.verdict is not None
    assert [stop.code for stop in told.verdict.stops] == ["UD609"]
    machine.commit({"host.yaml": world.manifest("  services: [{name: packaged, adopt: true}]\n")})
    assert (await machine.reconcile()).ending is record.Ending.APPLIED
    assert (show("packaged", "ActiveState"), show("packaged", "UnitFileState")) == ("active", "enabled")
    assert (await machine.reconcile()).ending is record.Ending.IN_SYNC
    systemctl("stop", "packaged")
    await asyncio.sleep(0.1)
    assert (await machine.reconcile()).ending is record.Ending.APPLIED
    machine.commit({"host.yaml": world.manifest("  services: []\n")})
    told = await machine.reconcile(policy={"allow_empty": True, "deletion_limit": world.UNLIMITED})
    assert told.ending is record.Ending.APPLIED, told.failure
    assert show("packaged", "ActiveState") == "active"
    assert path.exists()
