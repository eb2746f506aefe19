"""Check mode is the plan, a run is the apply: on a real Ansible, with playbooks that write files below a folder.

A run takes seconds, so that each test holds much.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import AsyncIterator

import pytest

from tests import peers
from tests.integration.ansible import world as worlds
from tests.integration.ansible.world import line
from undrift import errors
from undrift.model import application, plan, record
from undrift.testing.conformance import trial


@pytest.fixture
async def here(tmp_path: pathlib.Path) -> AsyncIterator[worlds.World]:
    """An application whose playbook writes below a folder of the test's own."""
    made = worlds.World(worlds.Place(tmp_path, peers.require_ansible()))
    yield made
    await made.close()


def leftovers() -> list[str]:
    """Folders of runs that are still there."""
    return [path.name for path in pathlib.Path("/dev/shm").glob(f"undrift-ansible-{os.getpid()}-*")]


async def test_a_playbook_from_the_first_plan_to_leaving(here: worlds.World) -> None:
    """Planned field by field, applied, drift seen and repaired, in sync, hosts away, and gone."""
    here.commit(line("a", "one") + line("b", "two"))
    told = await here.run()
    assert trial.planned(told) == [
        "update Task/web1/001 Write a",
        "update Task/web1/002 Write b",
        "create Playbook/first/site.yml",
    ], trial.spell(told)
    assert told.ending is record.Ending.APPLIED, trial.spell(told)
    assert told.plan is not None
    assert "+one" in told.plan.changes[0].text
    assert str(told.plan.changes[0].desired and told.plan.changes[0].desired.origin) == "first/site.yml:5"
    assert [warning.code for warning in told.warnings] == ["UD513"]
    assert await here.read() == {"a": "one\n", "b": "two\n"}

    await here.put("b", "by hand\n")
    (here.stand.root / "a").chmod(0o600)
    reported = await here.run(policy={"self_heal": False})
    assert await here.read() == {"a": "one\n", "b": "by hand\n"}
    assert len(reported.plan.withheld if reported.plan is not None else ()) == 2
    told = await here.run()
    assert told.ending is record.Ending.APPLIED, trial.spell(told)
    found = list(trial.changes(told).values())
    assert {change.reason for change in found} == {plan.Reason.DRIFT}
    assert "0600" in str(found[0].fields)
    assert "-by hand" in found[1].text
    assert await here.read() == {"a": "one\n", "b": "two\n"}

    here.commit(line("a", "one"))
    told = await here.run()
    assert trial.planned(told) == ["update Playbook/first/site.yml"]
    assert await here.read() == {"a": "one\n", "b": "two\n"}, "what a playbook made is not pruned"
    await here.restart(lose_database=True)
    told = await here.run()
    assert (told.ending, told.warnings) == (record.Ending.IN_SYNC, ()), trial.spell(told)

    away = "all: {hosts: {web1: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 9}}}\n"
    here.commit(line("a", "two"), more={"hosts.yml": away})
    told = await here.run()
    assert told.failure is not None
    assert isinstance(told.failure.error.parts[0], errors.TargetUnavailable)
    assert "web1" in told.failure.error.what
    assert not trial.planned(told)

    told = await here.run(decommissioned=True, deletion_policy=application.DeletionPolicy.DELETE)
    assert told.ending is record.Ending.APPLIED, trial.spell(told)
    assert "nothing on the hosts" in next(iter(trial.changes(told).values())).text
    assert await here.read() == {"a": "one\n", "b": "two\n"}


async def test_what_check_mode_cannot_foresee_is_said(here: worlds.World) -> None:
    """A command is not tried; what needs it fails in check mode; both are said, and what the run did besides."""
    here.commit(
        "    - name: Make\n      ansible.builtin.command: touch ROOT/made\n"
        "    - name: Need it\n      ansible.builtin.file: {path: ROOT/made, mode: '0600'}\n"
    )
    told = await here.run()

    assert told.ending is record.Ending.APPLIED, trial.spell(told)
    assert await here.read() == {"made": ""}
    [warning] = told.warnings
    assert "check mode" in warning.what
    assert "Make on web1" in warning.why
    assert "Need it on web1" in warning.why

    told = await here.run()
    assert told.ending is record.Ending.IN_SYNC, trial.spell(told)
    [warning] = told.warnings
    assert warning.what == "the last run changed more than check mode had foreseen"
    assert "Make on web1" in warning.why


async def test_a_task_that_fails_is_named_with_its_line(here: worlds.World) -> None:
    """What was done before it stays; the others are not begun; the application is ill until it is corrected."""
    breaks = "    - name: Break\n      ansible.builtin.command: /bin/false\n"
    here.commit(line("a", "one") + breaks + line("b", "two"))
    told = await here.run()

    assert told.ending is record.Ending.FAILED
    assert told.failure is not None
    outcomes = {str(result.change.id): result for result in told.results}
    assert outcomes["Task/web1/001 Write a"].outcome is plan.Outcome.APPLIED
    failed = outcomes["Task/web1/003 Write b"]
    assert failed.outcome is plan.Outcome.FAILED
    assert "Break fails on web1" in str(failed.error)
    assert failed.error is not None
    assert str(failed.error.origin) == "first/site.yml:7"
    assert await here.read() == {"a": "one\n"}
    state = json.loads(next(here.stand.root.parent.rglob("state/**/*.json")).read_text())
    assert "Break" in state["problem"]


async def test_a_task_that_fails_in_check_mode_stops_the_plan(here: worlds.World) -> None:
    """Nothing before it was left undone, so it would fail in earnest, too."""
    here.commit("    - name: Break\n      ansible.builtin.file: {path: ROOT/no, mode: '0600'}\n")

    told = await here.run()

    assert told.failure is not None
    assert told.failure.phase is record.Phase.PREVIEW
    assert str(told.failure.error.parts[0].origin) == "first/site.yml:5"
    assert "Break" in told.failure.error.what
    assert told.held_back is not None
    assert await here.read() == {}


@pytest.mark.parametrize(
    "tasks, said",
    [("    - name: X\n      no.such.module: {}\n", "no.such.module"), ("    - name: [\n", "site.yml")],
)
async def test_a_playbook_that_cannot_be_read(here: worlds.World, tasks: str, said: str) -> None:
    here.commit(tasks)

    told = await here.run()

    assert told.failure is not None
    text = f"{told.failure.error} {told.failure.error.why}"
    assert said in text
    assert "/dev/shm" not in text
    assert told.failure.error.origin is not None
    assert told.failure.error.origin.file == "first/site.yml"


async def test_secrets_are_in_no_plan_argument_or_record(tmp_path: pathlib.Path) -> None:
    """Credentials by reference, variables that SOPS encrypted, and what says no_log."""
    place = worlds.Place(
        tmp_path,
        peers.require_ansible(),
        secretVars={"token": {"env": "TOKEN"}},
        becomePassword={"env": "BECOME"},
        vaultPassword={"env": "VAULT"},
    )
    planted = (
        "planted-token-1",
        "planted-become-2",
        "planted-vault-3",
        "planted-sealed-4",
        "planted-quiet-5",
    )
    place.secrets = worlds.Credentials({"TOKEN": planted[0], "BECOME": planted[1], "VAULT": planted[2]})
    here = worlds.World(place)
    here.commit(
        line("a", "{{ token }} {{ sealed }}")
        + f"    - name: Quiet\n      ansible.builtin.lineinfile: {{path: ROOT/quiet, line: {planted[4]}, create: true}}\n"
        "      no_log: true\n"
        "    - name: Arguments\n      ansible.builtin.shell: "
        "{cmd: 'cat /proc/[0-9]*/cmdline > ROOT/../arguments || true'}\n"
        "    - name: Fail\n      ansible.builtin.fail: {msg: 'it is {{ token }} and {{ sealed }}'}\n"
        "      when: not ansible_check_mode\n",
        more={"secret.yml": trial.seal(f"sealed: {planted[3]}\n")},
    )
    told = await here.run(ansible={"varsFiles": ["secret.yml"]})
    await here.close()

    assert told.ending is record.Ending.FAILED, trial.spell(told)
    assert (await here.read())["a"] == f"{planted[0]} {planted[3]}\n"
    arguments = (tmp_path / "arguments").read_bytes().replace(b"\0", b" ").decode()
    assert "ansible-playbook" in arguments
    kept = "".join(path.read_text() for path in (tmp_path / "state").rglob("*.json"))
    seen = repr(told.plan) + repr(told) + kept + "".join(here.log) + repr(here.database.plans)
    seen += "".join(str(change.text) for change in told.plan.changes) if told.plan else ""
    seen += "".join(f"{result.error} {result.error.why}" for result in told.results if result.error)
    for value in planted:
        assert value not in arguments, value
        assert value not in seen, value
    assert "***" in seen
    assert not leftovers()


async def test_leaving_runs_what_was_declared_for_it(here: worlds.World) -> None:
    """Once it may; another agent has not taken it over meanwhile, since it is asked for."""
    destroy = (
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.file: {path: ROOT/a, state: absent}\n"
    )
    settings = {"destroy": "gone.yml"}
    here.commit(line("a", "one"), more={"gone.yml": destroy})
    await here.run(ansible=settings)
    async with here.another("other") as other:
        chosen = application.RendererSettings("ansible", {"inventory": "hosts.yml"})
        told = await other.reconcile(renderer=chosen)
        assert told.verdict is not None
        assert [type(stop) for stop in told.verdict.stops] == [errors.AdoptionRequired]
    await here.put("b", "theirs")
    asked = await here.run(decommissioned=True, ansible=settings)
    assert asked.ending is record.Ending.WAITING
    assert asked.plan is not None
    assert asked.plan.changes[0].text == "gone.yml is run\n"

    gone = application.DeletionPolicy.DELETE
    told = await here.run(decommissioned=True, deletion_policy=gone, ansible=settings)

    assert told.ending is record.Ending.APPLIED, trial.spell(told)
    assert await here.read() == {"b": "theirs"}
