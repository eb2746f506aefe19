"""What goes wrong on a real API server: nothing of others is touched, nothing of ours is forgotten, all is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import health, record

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Thing, plural: {plural}}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{size: {{type: integer}}}}}}}}}}}}
"""
POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
            ]
        },
        "validations": [{"expression": "!('forbidden' in object.data)", "message": "that key is forbidden"}],
    },
}


def refused(told: record.Reconciliation) -> errors.UndriftError:
    assert told.failure is not None, told.ending
    return told.failure.error.parts[0]


def explained(told: record.Reconciliation) -> str:
    """Why something failed and what to do about it; "" when nothing did."""
    return "" if told.failure is None else f"{refused(told).why} {refused(told).hint}"


async def until(
    world: worlds.World, name: str, done: Callable[[record.Reconciliation], bool]
) -> record.Reconciliation:
    """Reconcile until something shows: what a cluster serves is known a moment after it changed."""
    async with asyncio.timeout(20):
        while True:
            told = await world.reconcile(name)
            if done(told):
                return told
            await asyncio.sleep(0.1)


async def test_a_definition_and_its_objects_in_one_commit(world: worlds.World) -> None:
    """The objects wait until the definition is established; and both are pruned where Git says so."""
    group = f"{world.namespace}.example.com"
    thing = f"apiVersion: {group}/v1\nkind: Thing\nmetadata: {{name: t}}\nspec: {{size: 1}}\n"
    world.commit(thing, DEFINITION.format(plural="things", group=group))

    told = await world.reconcile()

    assert told.ending is record.Ending.APPLIED, refused(told)
    assert [change.split("/")[0] for change in worlds.changes(told)] == [
        "create CustomResourceDefinition.apiextensions.k8s.io",
        f"create Thing.{group}",
    ]
    world.commit(world.config_map(x="1"))
    kept = await world.reconcile()
    assert any(isinstance(one, errors.Protected) for one in kept.warnings)
    gone = await world.reconcile(policy={"delete_protected": ("*",)})
    assert gone.ending is record.Ending.APPLIED, refused(gone)


async def test_a_definition_that_is_removed_under_its_objects(world: worlds.World) -> None:
    """It comes back, and so do they."""
    group = f"{world.namespace}.example.com"
    thing = f"apiVersion: {group}/v1\nkind: Thing\nmetadata: {{name: t}}\nspec: {{size: 1}}\n"
    world.commit(thing, DEFINITION.format(plural="things", group=group))
    await world.reconcile()

    hinted = asyncio.create_task(
        world.drifted(f"CustomResourceDefinition.apiextensions.k8s.io/things.{group}")
    )
    await asyncio.sleep(0.1)
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}"
    world.plane.request("DELETE", path)
    await hinted
    async with asyncio.timeout(40):
        while world.plane.get(f"/apis/{group}/v1/namespaces/{world.namespace}/things/t") is None:
            await world.reconcile()
            await asyncio.sleep(0.3)


async def test_a_policy_of_the_cluster_that_denies(world: worlds.World) -> None:
    """Told before anything is changed; what it does not forbid goes on afterwards."""
    name = f"deny-{world.namespace}"
    selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": selector}
    root = "/apis/admissionregistration.k8s.io/v1"
    world.commit(world.config_map(fine="1"))
    await world.reconcile()
    world.plane.request("POST", f"{root}/validatingadmissionpolicies", {**POLICY, "metadata": {"name": name}})
    world.plane.request(
        "POST", f"{root}/validatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": binding}
    )
    try:
        world.commit(world.config_map(fine="2"), world.config_map("b", forbidden="1"))
        async with asyncio.timeout(20):
            told = await world.reconcile(dry=True)
            while told.failure is None:
                await asyncio.sleep(0.2)
                told = await world.reconcile(dry=True)

        assert "that key is forbidden" in refused(told).why
        assert str(refused(told).origin).startswith("app/all.yaml:")
        assert world.get("configmaps/a")["data"] == {"fine": "1"}
    finally:
        world.plane.request("DELETE", f"{root}/validatingadmissionpolicybindings/{name}")
        world.plane.request("DELETE", f"{root}/validatingadmissionpolicies/{name}")


async def test_a_right_that_we_do_not_have(world: worlds.World) -> None:
    """What we may do is done, what we may not is told, and the mark of nothing is lost."""
    role = {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]}
    root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}"
    world.plane.request("POST", f"{root}/roles", {"metadata": {"name": "maps"}, **role})
    subject = {"kind": "User", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "Role", "name": "maps", "apiGroup": "rbac.authorization.k8s.io"}
    world.plane.request(
        "POST",
        f"{root}/rolebindings",
        {"metadata": {"name": "maps"}, "subjects": [subject], "roleRef": reference},
    )
    world.settings["kubeconfig"] = str(world.plane.kubeconfig("reader"))
    world.commit(
        world.config_map(x="1"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: sesame}\n",
    )

    told = await world.reconcile()

    assert isinstance(refused(told), errors.TargetDenied)
    assert "secrets" in refused(told).why
    assert "sesame" not in str(told)
    world.commit(world.config_map(x="1"))
    again = await world.reconcile()
    assert again.ending in (record.Ending.APPLIED, record.Ending.IN_SYNC), refused(again)
    assert world.get("configmaps/a")["data"] == {"x": "1"}


async def test_a_quota_that_is_used_up(world: worlds.World) -> None:
    """What was made before stays in the inventory; when there is room the rest follows."""
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": "2"}}}
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas"
    world.plane.request("POST", path, quota)
    await asyncio.sleep(1)
    world.commit(world.config_map("a"), world.config_map("b"), world.config_map("c"))

    full = await world.reconcile()
    world.plane.request("DELETE", f"{path}/few")
    await asyncio.sleep(0.5)
    told = await world.reconcile()

    assert isinstance(refused(full), errors.TargetFull)
    assert told.ending is record.Ending.APPLIED, refused(told)
    assert {rid.name for rid in (await world.database.recall("app")).inventory.entries} == {"a", "b", "c"}


async def test_something_that_waits_for_a_finalizer(world: worlds.World) -> None:
    """It is named; and when it is gone all is well."""
    held = world.config_map("held", x="1").replace(
        "{name: held}", "{name: held, finalizers: [example.com/keep]}"
    )
    world.commit(world.config_map(x="1"), held)
    await world.reconcile()
    world.plane.request("DELETE", f"/api/v1/namespaces/{world.namespace}/configmaps/held")

    await asyncio.sleep(0.5)
    told = await world.reconcile()

    assert told.health.status is health.Status.PROGRESSING
    assert "example.com/keep" in told.health.reason
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/held"
    world.plane.request("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    async with asyncio.timeout(10):
        while (
            "deletionTimestamp"
            in (world.get("configmaps/held") or {"metadata": {"deletionTimestamp": 1}})["metadata"]
        ):
            await world.reconcile()
            await asyncio.sleep(0.1)


async def test_a_namespace_that_never_ends(world: worlds.World) -> None:
    """What would be made in it is refused, and tried again."""
    stuck = world.config_map("stuck").replace(
        "{name: stuck}", "{name: stuck, finalizers: [example.com/keep]}"
    )
    world.plane.kubectl("-n", world.namespace, "apply", "-f", "-", given=stuck)
    world.plane.request("DELETE", f"/api/v1/namespaces/{world.namespace}")
    world.commit(world.config_map(x="1"))
    try:
        told = await world.reconcile()

        assert isinstance(refused(told), errors.TargetBusy)
        assert "terminated" in refused(told).why
        assert errors.waiting_helps(refused(told))
    finally:
        path = f"/api/v1/namespaces/{world.namespace}/configmaps/stuck"
        world.plane.request("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")


async def test_a_namespace_that_nobody_declares(world: worlds.World) -> None:
    world.commit("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: no-such-space}\n")

    told = await world.reconcile()

    assert "no-such-space" in refused(told).why
    assert "declare the Namespace" in refused(told).hint


async def test_an_object_that_is_too_large(world: worlds.World) -> None:
    """1.5 MB: the API server says no, and the rest goes on."""
    world.commit(world.config_map(x="1"))
    await world.reconcile()
    world.commit(world.config_map(x="2"), world.config_map("large", big="x" * 1_500_000))

    told = await world.reconcile()

    assert "ConfigMap" in refused(told).what
    assert world.get("configmaps/a")["data"] == {"x": "1"}


async def test_an_immutable_field(world: worlds.World) -> None:
    """Nothing is deleted by surprise; where the policy says so it is made anew."""
    world.commit(worlds.deployment())
    await world.reconcile()
    world.commit(worlds.deployment().replace("app: web", "app: other"))

    stopped = await world.reconcile()
    uid = world.get("apps/v1/deployments/web")["metadata"]["uid"]
    told = await world.reconcile(policy={"recreate": ("Deployment.apps/*",)})

    assert stopped.verdict is not None
    assert isinstance(stopped.verdict.stops[0], errors.RecreateForbidden)
    assert "immutable" in stopped.verdict.stops[0].why
    assert told.ending is record.Ending.APPLIED, refused(told)
    assert world.get("apps/v1/deployments/web")["metadata"]["uid"] != uid


@pytest.mark.parametrize(
    "before, after, place, says, hint",
    [
        (
            "  replicas: 1",
            "  replica: 1",
            "12:3",
            "there is no field replica in spec",
            "did you mean replicas?",
        ),
        ("  replicas: 1", "  replicas: '1'", "12:3", "spec.replicas should be a whole number", "quotes"),
        (
            "name: main, image",
            "name: main, imag",
            "16:38",
            "there is no field imag in spec.template",
            "image?",
        ),
        ("app: web}}\n  template", "app: 1}}\n  template", "13:28", "should be text", "put it in quotes"),
        ("name: main, ", "", "16:25", "spec.template.spec.containers.0.name is missing", ""),
    ],
)
async def test_what_does_not_fit_the_schema(
    before: str, after: str, place: str, says: str, hint: str, world: worlds.World
) -> None:
    """Found at its line before anything is touched, in a new application, too."""
    manifest = worlds.deployment().replace(before, after)
    assert manifest != worlds.deployment()
    world.commit(world.config_map(x="1"), manifest)

    told = await world.reconcile()

    assert says in refused(told).why
    assert hint in refused(told).hint
    assert str(refused(told).origin).startswith(f"app/all.yaml:{place}")
    assert world.get("configmaps/a") is None


async def test_marks_that_somebody_takes_off(world: worlds.World) -> None:
    """They come back; copies of them on what controllers make are not ours."""
    world.commit(world.config_map(x="1"), worlds.deployment())
    await world.until_healthy()
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/a"
    hinted = asyncio.create_task(world.drifted("ConfigMap/a"))
    await asyncio.sleep(0.1)
    world.plane.request("PATCH", path, {"metadata": {"labels": None}}, "application/merge-patch+json")
    await hinted

    told = await world.reconcile()

    assert worlds.changes(told) == ["mark ConfigMap/a"], (told.verdict, told.live, told.plan)
    assert world.get("configmaps/a")["metadata"]["labels"] == {worlds.marks.LABEL: "app"}
    assert {rid.kind for rid in (await world.database.recall("app")).inventory.entries} == {
        "ConfigMap",
        "Deployment.apps",
    }


async def test_ignored_fields_are_others_after_the_first_time(world: worlds.World) -> None:
    from undrift.model import application  # noqa: PLC0415 - one rule of a policy

    policy = {"ignore": (application.Ignore("Deployment.apps/*", "spec.replicas"),)}
    world.commit(worlds.deployment(replicas=2))
    await world.reconcile(policy=policy)
    world.plane.kubectl("-n", world.namespace, "scale", "deployment", "web", "--replicas=5")

    world.commit(worlds.deployment(replicas=2, image="nginx:1.28"))
    told = await world.reconcile(policy=policy)

    assert list(worlds.fields(told)) == ["spec.template.spec.containers.main.image"]
    assert world.get("apps/v1/deployments/web")["spec"]["replicas"] == 5


async def test_secrets_are_in_no_plan(world: worlds.World) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: {}}}\n"
    world.commit(secret.format("open-sesame"))
    await world.reconcile()
    world.commit(secret.format("close-sesame"))

    told = await world.reconcile()

    assert told.ending is record.Ending.APPLIED, refused(told)
    assert list(worlds.fields(told)) == ["data.password"]
    seen = repr(told) + repr(world.database.memories) + json.dumps(world.get("secrets/s")["metadata"])
    for text in ("open-sesame", "close-sesame", "b3Blbi1zZXNhbWU", "Y2xvc2Utc2VzYW1l"):
        assert text not in seen


async def test_two_agents_do_not_take_from_each_other(world: worlds.World) -> None:
    world.commit(world.config_map(x="1"))
    await world.reconcile()
    world.agent = f"{world.namespace}-other"
    world.commit(world.config_map(x="2"), name="other")

    told = await world.reconcile("other")

    assert told.verdict is not None
    assert isinstance(told.verdict.stops[0], errors.AdoptionRequired)
    assert world.get("configmaps/a")["data"] == {"x": "1"}


async def test_a_kind_that_nobody_knows_is_judged_as_the_target_says(world: worlds.World) -> None:
    """By rules in CEL; without them by its conditions."""
    group = f"{world.namespace}.example.com"
    thing = f"apiVersion: {group}/v1\nkind: Thing\nmetadata: {{name: t}}\nspec: {{size: 1}}\n"
    world.settings["health"] = {
        f"Thing.{group}": {"healthy": "spec.size > 1", "degraded": "spec.size < 1", "reason": "'size ' + string(spec.size)"}
    }  # fmt: skip
    world.commit(thing, DEFINITION.format(plural="things", group=group))
    coming = await world.reconcile()
    world.commit(thing.replace("size: 1", "size: 0"), DEFINITION.format(plural="things", group=group))
    ill = await world.reconcile()
    world.commit(thing.replace("size: 1", "size: 2"), DEFINITION.format(plural="things", group=group))
    well = await world.reconcile()

    assert [(one.health.status.value, one.health.reason) for one in (coming, ill, well)] == [
        ("Progressing", "size 1"),
        ("Degraded", "size 0"),
        ("Healthy", ""),
    ]


async def test_an_api_version_that_is_gone(world: worlds.World) -> None:
    """Told with what is served instead, before anything is touched; the version of Git's next commit converges."""
    group = f"{world.namespace}.example.com"
    definition = DEFINITION.format(plural="things", group=group)
    thing = f"apiVersion: {group}/v1\nkind: Thing\nmetadata: {{name: t}}\nspec: {{size: 1}}\n"
    world.commit(definition)
    world.commit(thing, name="user")
    await world.reconcile()
    await until(world, "user", lambda told: told.ending is record.Ending.APPLIED)
    uid = world.plane.get(f"/apis/{group}/v1/namespaces/{world.namespace}/things/t")["metadata"]["uid"]

    first, rest = definition.split("  - name: v1\n")
    schema = rest[rest.index("    schema:") :]
    world.commit(
        f"{first}  - name: v1\n    served: false\n    storage: false\n{schema}"
        f"  - name: v2\n    served: true\n    storage: true\n{schema}"
    )
    moved = await world.reconcile()
    world.commit(thing.replace("1}", "3}"), name="user")
    told = await until(world, "user", lambda told: "/v2" in explained(told))
    world.commit(thing.replace("/v1", "/v2").replace("1}", "2}"), world.config_map("b"), name="user")
    after = await world.reconcile("user")

    assert moved.ending is record.Ending.APPLIED, refused(moved)
    assert f"{group}/v2" in explained(told)
    assert str(refused(told).origin).startswith("user/all.yaml:1")
    assert after.ending is record.Ending.APPLIED, refused(after)
    assert worlds.changes(after) == ["create ConfigMap/b", f"update Thing.{group}/t"]
    there = world.plane.get(f"/apis/{group}/v2/namespaces/{world.namespace}/things/t")
    assert (there["metadata"]["uid"], there["spec"]) == (uid, {"size": 2})
