"""A live zone becomes files, and what they declare is what is there."""

from __future__ import annotations

import asyncio
import json
import pathlib
import sys
from asyncio.subprocess import PIPE

import pytest

from tests import nameservers
from tests.integration.dns.world import World
from undrift.lib import yaml
from undrift.model import plan, record


@pytest.mark.parametrize("zone", ["other.test", "bücher.test"])
async def test_what_is_imported_is_what_is_there(
    server: nameservers.NameServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("DNS_KEY", server.key)
    ascii_zone = {"bücher.test": "xn--bcher-kva.test."}.get(zone, "other.test.")
    server.update(
        ascii_zone,
        ("add", "www", "60", "A", "192.0.2.1", "192.0.2.2"),
        ("add", "text", "60", "TXT", '"v=spf1 a:x;y -all"'),
        ("add", "m", "300", "MX", f"10 ns1.{ascii_zone}"),
        ("add", "caa", "300", "CAA", '0 issue "ca.test"'),
    )
    given = [f"--set={name}={json.dumps(value)}" for name, value in server.settings.items()]

    command = [sys.executable, "-m", "undrift", "import", "dns", zone, "--to", str(tmp_path), "-o", "json"]

    done = await asyncio.create_subprocess_exec(*command, *given, stdout=PIPE, stderr=PIPE)
    out, err = await asyncio.wait_for(done.communicate(), 60)

    assert done.returncode == 0, err
    told = json.loads(out)
    (name,) = told["applications"]
    (application,) = yaml.documents((tmp_path / "undrift" / f"{name}.yaml").read_bytes())
    assert application.data["spec"]["policy"] == {"adopt": ["*"]}
    assert "namespace" not in application.data["spec"]
    world = World(server)
    folder = tmp_path / application.data["spec"]["source"]["path"]
    world.commit({path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()})

    found = await world.reconcile(dry=True, policy={"adopt": ("*",)})

    assert found.plan is not None, found.failure
    assert {one.action for one in found.plan.changes} == {plan.Action.ADOPT}
    assert not any(one.fields for one in found.plan.changes)
    before = server.ask(ascii_zone, "SOA")
    assert (await world.reconcile(policy={"adopt": ("*",)})).ending is record.Ending.APPLIED
    assert server.ask(ascii_zone, "SOA") != before
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC
