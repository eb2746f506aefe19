"""Groups of targets: inheritance, what contradicts, and one application for each target that fits."""

from __future__ import annotations

import dataclasses

import pytest

from tests.unit.config import declaring
from undrift.config import reading
from undrift.model import application

BASE = """apiVersion: undrift.dev/v1
kind: Agent
metadata: {name: main}
"""


def group(name: str, spec: str = "", labels: str = "{}") -> str:
    return (
        "---\napiVersion: undrift.dev/v1\nkind: TargetGroup\n"
        f"metadata: {{name: {name}, labels: {labels}}}\nspec: {{{spec}}}\n"
    )


def target(name: str, spec: str, labels: str = "{}") -> str:
    return (
        "---\napiVersion: undrift.dev/v1\nkind: Target\n"
        f"metadata: {{name: {name}, labels: {labels}}}\nspec: {{{spec}}}\n"
    )


LINUX = group(
    "linux", "provider: hosts, settings: {manager: systemd, vars: {ntp: a, dns: [1, 2]}}", "{os: linux}"
)
WEB = group("web", "parents: [linux], settings: {vars: {ntp: b, port: 80}}", "{role: web}")


async def test_a_target_wins_over_its_groups_and_a_group_over_its_parents() -> None:
    found = await declaring.read_well(
        BASE
        + LINUX
        + WEB
        + target("alpha", "groups: [web], settings: {root: /srv, vars: {port: 81}}", "{zone: x}")
    )
    made = found.targets["alpha"]
    assert (made.provider, made.agent) == ("hosts", "main")
    assert made.settings == {
        "manager": "systemd",
        "root": "/srv",
        "vars": {"ntp": "b", "dns": [1, 2], "port": 81},
    }
    assert made.labels == {"os": "linux", "role": "web", "zone": "x"}


@pytest.mark.parametrize(
    "groups, own, merged",
    [
        # One of them is a part of the other: it wins, in whatever order they are written.
        ("[web, linux]", "", {"ntp": "b", "dns": [1, 2], "port": 80}),
        ("[linux, web]", "", {"ntp": "b", "dns": [1, 2], "port": 80}),
        # They share a parent, and only one says otherwise.
        ("[web, plain]", "", {"ntp": "b", "dns": [1, 2], "port": 80}),
        # They say the same.
        ("[web, same]", "", {"ntp": "b", "dns": [1, 2], "port": 80}),
        # They contradict one another, and the target decides.
        ("[web, paris]", "settings: {vars: {ntp: z}}", {"ntp": "z", "dns": [1, 2], "port": 80}),
        # Or a group below both.
        ("[both]", "", {"ntp": "q", "dns": [1, 2], "port": 80}),
    ],
)
async def test_several_groups(groups: str, own: str, merged: dict[str, object]) -> None:
    text = (
        BASE + LINUX + WEB + group("plain", "parents: [linux]") + group("same", "settings: {vars: {port: 80}}")
        + group("paris", "settings: {vars: {ntp: c}}")
        + group("both", "parents: [web, paris], settings: {vars: {ntp: q}}")
        + target("alpha", f"groups: {groups}, {own}")
    )  # fmt: skip
    found = await declaring.read_well(text)
    assert found.targets["alpha"].settings["vars"] == merged


async def test_a_contradiction_names_both_and_takes_out_only_its_target() -> None:
    found = await declaring.read(
        BASE
        + LINUX
        + WEB
        + group("paris", "settings: {vars: {ntp: c}}")
        + target("alpha", "groups: [web, paris]")
        + target("beta", "groups: [web]")
        + declaring.application("one", target="alpha")
        + declaring.application("two", target="beta")
    )
    [error] = found.errors
    assert error.what == "groups of Target alpha contradict one another in settings.vars.ntp"
    assert "the groups paris and web say" in error.why or "the groups web and paris say" in error.why
    assert (error.origin.line if error.origin else 0) == 23
    assert (set(found.targets), set(found.applications), set(found.broken)) == ({"beta"}, {"two"}, {"one"})


@pytest.mark.parametrize(
    "text, what, hint",
    [
        (target("a", "groups: [wep]"), "TargetGroup wep is not declared", "did you mean web?"),
        (group("x", "parents: [linus]"), "TargetGroup linus is not declared", "did you mean linux?"),
        (
            group("x", "parents: [z]") + group("z", "parents: [x]"),
            "groups are parts of one another in a circle",
            "take one of these parents out",
        ),
        (
            group("bare") + target("a", "groups: [bare]"),
            "Target a has no provider",
            "add provider: hosts (or another) to it or to a group",
        ),
        (
            target("a", "settings: {}"),
            "spec needs a provider, or a group that says one",
            "say what kind of place it is: provider: hosts",
        ),
    ],
)
async def test_what_is_refused(text: str, what: str, hint: str) -> None:
    found = await declaring.read(BASE + LINUX + WEB + text)
    assert [(error.what, error.hint) for error in found.errors] == [(what, hint)]


GENERATOR = """---
apiVersion: undrift.dev/v1
kind: ApplicationGenerator
metadata: {name: web}
spec:
  generators: [{targets: {labels: {role: "w*"}, groups: [linux], names: ["*a"]}}]
  rollout: {batches: [1, "50%"], maxUnavailable: "10%"}
  template:
    metadata: {name: "web-{{ name }}", labels: {os: "{{ labels.os }}"}}
    spec: {source: {path: web}, target: "{{ name }}"}
"""


async def test_one_application_for_each_target_that_fits() -> None:
    found = await declaring.read_well(
        BASE
        + LINUX
        + WEB
        + GENERATOR
        + target("alpha", "groups: [web]")
        + target("beta", "groups: [web]", "{role: db}")
        + target("gamma", "provider: hosts", "{role: web}")
        + target("web", "groups: [web]")
    )
    assert {name: each.target for name, each in found.applications.items()} == {"web-alpha": "alpha"}
    made = found.applications["web-alpha"]
    shares = (application.Share(1), application.Share(percent=50))
    assert made.rollout == application.Rollout("web", shares, application.Share(percent=10))
    assert (made.generator, made.labels) == ("web", {"os": "linux"})


async def test_a_broken_target_never_looks_like_one_that_was_removed() -> None:
    """What was made for it stays until it can be told whether it still fits; of one that is gone it leaves."""
    reader = reading.Reader()
    both = BASE + LINUX + WEB + GENERATOR + target("alpha", "groups: [web]") + target("beta", "groups: [web]")
    before = await reader.read(declaring.artifact({"undrift.yaml": both}))
    broken = await reader.read(
        declaring.artifact(
            {
                "undrift.yaml": both.replace(
                    "beta, labels: {}}\nspec: {", "beta, labels: {}}\nspec: {wrong: 1, "
                )
            }
        )
    )
    gone = await reader.read(
        declaring.artifact(
            {
                "undrift.yaml": both.partition(
                    "---\napiVersion: undrift.dev/v1\nkind: Target\nmetadata: {name: beta"
                )[0]
            }
        )
    )

    assert set(before.applications) == {"web-alpha", "web-beta"}
    assert set(broken.applications) == {"web-alpha"}
    assert not broken.may_remove(before.applications["web-beta"])
    assert gone.may_remove(before.applications["web-beta"])
    assert not gone.may_remove(before.applications["web-alpha"])


async def test_what_did_not_change_is_the_same_object_and_a_group_counts() -> None:
    """An application is looked at again when a group of its target changes, and only then."""
    reader = reading.Reader()
    text = (
        BASE + LINUX + WEB + target("alpha", "groups: [web]") + declaring.application("one", target="alpha")
    )
    first = await reader.read(declaring.artifact({"undrift.yaml": text}))
    again = await reader.read(declaring.artifact({"undrift.yaml": text}))
    other = await reader.read(declaring.artifact({"undrift.yaml": text.replace("ntp: a", "ntp: q")}))
    assert again.applications["one"] is first.applications["one"]
    assert first.digests == again.digests
    assert first.digests != other.digests


@pytest.mark.parametrize(
    "renderer, what, hint",
    [
        ("${outputs.gate.addres}", "gate publishes no output addres", "did you mean address?"),
        (
            "${outputs.gat.address}",
            "output address of gat is used, on which web does not depend",
            "did you mean gate?",
        ),
        (
            "${outputs.other.x}",
            "output x of other is used, on which web does not depend",
            "add other to dependsOn",
        ),
    ],
)
async def test_outputs_that_there_are_not(renderer: str, what: str, hint: str) -> None:
    found = await declaring.read(
        declaring.BASE
        + declaring.application("gate", "outputs: {address: {fact: hostname}}")
        + declaring.application("other")
        + declaring.application("web", f"dependsOn: [gate], renderer: {{substitute: {{A: '{renderer}'}}}}")
    )
    [error] = found.errors
    assert (error.what, error.hint) == (what, hint)
    assert error.origin is not None
    assert (error.origin.file, error.origin.line) == ("undrift.yaml", 23)


async def test_outputs_are_translated_with_their_places() -> None:
    found = await declaring.read_well(
        declaring.BASE
        + declaring.application("gate", "outputs: {a: {resource: Service/x, field: status.ip, secret: true}}")
    )
    [one] = found.applications["gate"].outputs
    assert dataclasses.astuple(one)[:5] == ("a", "Service/x", "status.ip", "", True)
    assert str(one.origin).startswith("undrift.yaml:13:")


async def test_a_field_below_a_name_that_people_chose() -> None:
    """The name of an output is no field: what is known below it is still told."""
    found = await declaring.read(
        declaring.BASE + declaring.application("gate", "outputs: {address: {fakt: hostname}}")
    )

    assert [error.hint for error in found.errors] == ["did you mean fact?"]
