"""What one application publishes is in another's files, is waited for, and flows on when it changes."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.world import World

GATEWAY = "outputs: {address: {resource: Link/current, field: to}, host: {fact: hostname}}"
_LINK = "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n  links: [{{path: /current, to: {to}}}]\n"
_PAGE = (
    "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n"
    "  files: [{path: /page, template: templates/page.j2}]\n"
)


def _names(world: World, commit: str) -> list[str]:
    """The applications that differ from a commit, in their order."""
    found = json.loads(world.cli("plan", "./", "--since", commit, "-o", "json").stdout)
    return [one["application"] for one in found]


def _told(one: dict[str, Any]) -> bool:
    return bool(one["results"] and one["news"])


def _publish(world: World, to: str) -> None:
    world.write("gateway/host.yaml", _LINK.format(to=to))


def test_a_template_uses_what_another_publishes(world: World) -> None:
    """It waits for the first value; a new one is applied at once, and told as what it is; so it is after a restart."""
    world.declare("web", "dependsOn: [gateway]")
    world.declare("gateway", f"{GATEWAY}, suspend: true")
    _publish(world, "one")
    world.write("web/host.yaml", _PAGE)
    world.write("web/templates/page.j2", "at {{ facts.outputs.gateway.address }}\n")
    world.push("Begin")
    world.start()
    stop: dict[str, Any] = world.until(lambda: next(iter(world.glance("web").get("stops", [])), {}))
    assert (stop["code"], stop["what"]) == ("UD618", "output address of gateway is not known yet")
    assert "/page" not in world.tree()

    world.declare("gateway", GATEWAY)
    commit = world.push("Go")
    world.settled("gateway", commit)
    world.until(lambda: world.tree().get("/page") == "at one\n")

    _publish(world, "two")
    world.push("Move")
    world.until(lambda: world.tree().get("/page") == "at two\n", 10)
    last = world.until(lambda: next(filter(_told, world.client.history("web")), {}))
    assert (last["news"], [one["reason"] for one in last["results"]]) == (
        ["output:gateway/address"],
        ["input"],
    )

    assert world.stop() == 0
    world.start()
    world.until(lambda: world.state_of("web") == "in sync")
    assert world.tree()["/page"] == "at two\n"


def test_a_plan_without_an_agent_names_what_it_cannot_know(world: World) -> None:
    """What does not exist yet has no value: the plan says for whom is waited, in the order of the layers."""
    world.declare(
        "web", "dependsOn: [gateway], renderer: {kind: plain, substitute: {TO: '${outputs.gateway.address}'}}"
    )
    world.declare("gateway", GATEWAY)
    _publish(world, "one")
    world.write("web/host.yaml", _LINK.format(to="/srv/${TO}").replace("/current", "/other"))

    done = world.cli("plan", "./", "-o", "json")
    found = json.loads(done.stdout)

    assert [one["application"] for one in found] == ["gateway", "web"]
    assert [one["target"] for one in found] == ["host", "host"]
    assert [one["provider"] for one in found] == ["hosts", "hosts"]
    assert [(one["code"], one["why"]) for one in found[1]["stops"]] == [
        ("UD618", "Link//current does not exist yet")
    ]
    commit = world.push("Begin")
    world.declare("alone", "dependsOn: [gateway]")
    world.files("alone", {"/alone": "x"})
    world.push("Beside")
    assert _names(world, commit) == ["alone"]
    _publish(world, "one")
    world.write("gateway/README", "not committed yet")
    assert _names(world, "HEAD") == ["gateway", "alone", "web"]
    assert "there is no commit nowhere" in world.cli("plan", "./", "--since", "nowhere").stderr

    world.start()
    world.until((world.target / "other").is_symlink)
    assert (world.target / "other").readlink().name == "one"
