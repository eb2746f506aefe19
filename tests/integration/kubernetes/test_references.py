"""What Pods need and nobody provides is told before they wait for it, at its line."""

from __future__ import annotations

from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import record

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: robot
      containers:
      - name: main
        image: nginx
        envFrom:
        - configMapRef:
            name: setings
        - secretRef:
            name: password
"""


def missed(told: record.Reconciliation) -> list[tuple[str, str, str]]:
    return [
        (str(one.origin), one.what.rpartition("needs ")[2].partition(",")[0], one.hint)
        for one in told.warnings
        if isinstance(one, errors.ReferenceUnsatisfied)
    ]


async def test_names_that_nothing_satisfies_are_warned_of(world: worlds.World) -> None:
    """With the nearest name that is declared; what is there already is not missed, and nothing is held up."""
    world.plane.request(
        "POST", f"/api/v1/namespaces/{world.namespace}/serviceaccounts", {"metadata": {"name": "robot"}}
    )
    world.commit(WEB, world.config_map("settings", a="1"))
    space = world.namespace

    seen = await world.reconcile(dry=True)
    told = await world.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert missed(told) == missed(seen) == [
        ("app/all.yaml:16:13", f"ConfigMap/{space}/setings", "did you mean settings?"),
        ("app/all.yaml:18:13", f"Secret/{space}/password", "declare it, or see that whoever makes it does"),
    ]  # fmt: skip


async def test_what_did_not_change_is_not_asked_about(world: worlds.World) -> None:
    world.commit(WEB)
    await world.reconcile()
    await world.reconcile()
    before = world.requests()

    told = await world.reconcile()

    assert (missed(told), world.requests()) == ([], before)
