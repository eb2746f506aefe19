"""The rights that `undrift doctor --rbac` prints are enough for an agent, and no more than it needs."""

from __future__ import annotations

import asyncio
import json
import pathlib
import subprocess
import sys

import pytest

from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.lib import yaml
from undrift.model import health, record

CONFIGURATION = """\
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: here}}
spec: {{provider: kubernetes, settings: {{kubeconfig: {kubeconfig}}}}}
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: app}}
spec: {{source: {{path: app}}, target: here, namespace: {space}}}
"""
ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: robot}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: robot}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: robot}
subjects: [{kind: ServiceAccount, name: robot}]
"""


@pytest.fixture
def checkout(world: worlds.World, tmp_path: pathlib.Path) -> pathlib.Path:
    """With an application of ConfigMap, Deployment, Role and binding."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "all.yaml").write_text(
        "\n---\n".join((world.config_map(x="1"), worlds.deployment(), ROLE))
    )
    text = CONFIGURATION.format(kubeconfig=world.plane.kubeconfig(), space=world.namespace)
    (tmp_path / "undrift.yaml").write_text(text)
    return tmp_path


def printed(folder: pathlib.Path) -> str:
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).with_name("undrift")), "doctor", f"--rbac={folder}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_an_agent_with_just_these_rights_does_its_work(
    world: worlds.World, checkout: pathlib.Path
) -> None:
    """It makes, watches, heals and prunes; and may do nothing with what is not declared."""
    text = await asyncio.to_thread(printed, checkout)
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "undrift-here"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "undrift-here"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}],
    }
    world.plane.kubectl("apply", "-f", "-", given=f"{text}---\n{json.dumps(binding)}")
    world.settings["kubeconfig"] = str(world.plane.kubeconfig("reader"))
    manifest = (checkout / "app" / "all.yaml").read_text()
    try:
        world.commit(manifest)
        made = await world.reconcile()
        well = await world.until_healthy()
        hinted = asyncio.create_task(world.drifted("ConfigMap/a"))
        await asyncio.sleep(0.2)
        path = f"/api/v1/namespaces/{world.namespace}/configmaps/a"
        world.plane.request("PATCH", path, {"data": {"x": "2"}}, "application/merge-patch+json")
        await hinted
        healed = await world.reconcile()
        world.commit(world.config_map(x="1"))
        pruned = await world.reconcile()
        world.commit(world.config_map(x="1"), "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n")
        refused = await world.reconcile()
    finally:
        world.plane.request("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/undrift-here")

    assert [one.ending for one in (made, healed, pruned)] == [record.Ending.APPLIED] * 3, made.failure
    assert well.health.status is health.Status.HEALTHY
    assert refused.failure is not None
    assert isinstance(refused.failure.error.parts[0], errors.TargetDenied)


def test_roles_are_handed_on_by_name_only(checkout: pathlib.Path) -> None:
    [role] = yaml.documents(printed(checkout))
    rules = role.data["rules"]
    by_verb = {verb: one for one in rules for verb in one["verbs"]}

    assert by_verb["escalate"]["resourceNames"] == by_verb["bind"]["resourceNames"] == ["robot"]
    assert not any("*" in one["verbs"] or "*" in one["resources"] for one in rules)
    assert not any("secrets" in one["resources"] for one in rules)


def test_an_account_has_a_role_of_its_own(checkout: pathlib.Path) -> None:
    """The agent may then look and act as it, and change nothing itself."""
    place = checkout / "undrift.yaml"
    place.write_text(
        place.read_text().replace("target: here,", "target: here, account: 'system:serviceaccount:x:robot',")
    )

    own, of_account = (one.data for one in yaml.documents(printed(checkout)))

    verbs = {verb for one in own["rules"] for verb in one["verbs"]}
    assert verbs == {"get", "list", "watch", "impersonate"}
    assert of_account["metadata"]["name"] == "undrift-here-account-1"
    assert {"create", "patch", "delete"} <= {verb for one in of_account["rules"] for verb in one["verbs"]}
