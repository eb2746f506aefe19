"""One application on many targets: made by label, changed batch by batch, stopped where it goes wrong."""

from __future__ import annotations

import shutil
import time

from tests.e2e.world import World

NAMES = ("a", "b", "c", "d", "e")
GENERATOR = """\
apiVersion: undrift.dev/v1
kind: ApplicationGenerator
metadata: {name: web}
spec:
  generators: [{targets: {labels: {role: web}}}]
  rollout: {batches: [1, 3], maxUnavailable: 1}
  deletionPolicy: delete
  template:
    metadata: {name: "web-{{ name }}"}
    spec:
      source: {path: web}
      target: "{{ name }}"
      policy: {healthTimeout: 3s, retry: {first: 1s, cap: 2s}}
---
apiVersion: undrift.dev/v1
kind: TargetGroup
metadata: {name: site, labels: {role: web}}
spec: {provider: hosts, agent: main, settings: {vars: {greeting: hello, place: nowhere}}}
"""
PAGE = "apiVersion: undrift.dev/hosts/v1\nkind: Host\nspec:\n  files: [{path: /page, template: templates/page.j2}]\n"


def _target(world: World, name: str, labels: str = "") -> None:
    (world.root / name).mkdir(exist_ok=True)
    world.write(
        f"undrift/{name}.yaml",
        f"apiVersion: undrift.dev/v1\nkind: Target\nmetadata: {{name: {name}{labels}}}\n"
        f"spec: {{groups: [site], settings: {{root: {world.root / name}, vars: {{place: {name}}}}}}}\n",
    )


def _page(world: World, text: str) -> str:
    world.write("web/host.yaml", PAGE)
    world.write("web/templates/page.j2", text)
    return world.push(text)


def _pages(world: World) -> dict[str, str]:
    places = {name: world.root / name / "page" for name in NAMES}
    return {name: place.read_text() for name, place in places.items() if place.is_file()}


def _begin(world: World) -> None:
    for name in NAMES:
        _target(world, name)
    world.write("undrift/web.yaml", GENERATOR)
    commit = _page(world, "{{ greeting }} {{ place }} 1")
    world.start()
    for name in NAMES:
        world.settled(f"web-{name}", commit)


def test_variables_come_from_groups_and_targets(world: World) -> None:
    """Each target has one application of its own; a label more or less makes one or takes it away."""
    _begin(world)
    assert _pages(world) == {name: f"hello {name} 1" for name in NAMES}

    _target(world, "e", ", labels: {role: none}")
    world.push("Without e")
    world.until(lambda: "e" not in _pages(world))
    assert world.until(
        lambda: sorted(one["name"] for one in world.client.status()) == [f"web-{n}" for n in "abcd"]
    )


def test_a_change_that_goes_wrong_reaches_one_batch(world: World) -> None:
    """The first host fails and is named; the others keep what they have, drift repair included; a mend goes round."""
    _begin(world)
    bad = PAGE + '  commands: [{name: check, command: [/bin/sh, -c, "exit 1"], runAgain: "2"}]\n'
    world.write("web/host.yaml", bad)
    world.write("web/templates/page.j2", "{{ greeting }} {{ place }} 2")
    world.push("Bad")

    world.until(lambda: all(world.codes(f"web-{name}") == ["UD620"] for name in NAMES[1:]))
    stop = world.glance("web-c")["stops"][0]
    assert "web-a did not take it well" in stop["why"]
    assert {name: text[-1] for name, text in _pages(world).items() if name != "a"} == dict.fromkeys(
        "bcde", "1"
    )

    (world.root / "c" / "page").write_text("by hand")
    world.until(lambda: _pages(world)["c"] == "hello c 1")
    time.sleep(0.5)
    assert world.codes("web-c") == ["UD620"]

    commit = _page(world, "{{ greeting }} {{ place }} 3")
    for name in NAMES:
        world.settled(f"web-{name}", commit)
    assert _pages(world) == {name: f"hello {name} 3" for name in NAMES}


def test_a_host_that_is_away_is_caught_up_with(world: World) -> None:
    """One may be away; with two nobody goes on; whoever comes back gets what it missed."""
    _begin(world)
    shutil.move(world.root / "b", world.root / "b-away")
    world.until(lambda: world.codes("web-b") == ["UD501"], 60) if world.client.reconcile("web-b") else None

    _page(world, "{{ greeting }} {{ place }} 2")
    world.until(lambda: {n: t[-1] for n, t in _pages(world).items()} == dict.fromkeys("acde", "2"))

    shutil.move(world.root / "b-away", world.root / "b")
    world.until(lambda: _pages(world).get("b") == "hello b 2")
