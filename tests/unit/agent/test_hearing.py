"""Values of other replicas: a change wakes those that use them, and nobody else."""

from __future__ import annotations

import types
from typing import Any, cast

from undrift.agent import hearing, queue, shapes, tenant, world
from undrift.model import application, output, record


class Database:
    """What another replica wrote down last."""

    def __init__(self) -> None:
        self.value = "one"

    async def reconciles(self, name: str, limit: int) -> list[dict[str, Any]]:
        told = record.Reconciliation(
            "r", name, record.Ending.IN_SYNC, 0.0, outputs=output.Told({"address": self.value})
        )
        return [shapes.reconciliation(told)]


def _tenant(name: str, *, ours: bool, **more: object) -> tenant.Tenant:
    subject = application.Application(name, application.SourceReference("config"), "here", **more)  # type: ignore[arg-type]  # fields by name
    lease = types.SimpleNamespace(epoch=1) if ours else None
    return tenant.Tenant(subject, "d", lease=cast("Any", lease))


async def test_a_changed_value_of_another_replica_wakes_its_users() -> None:
    database, waiting = Database(), queue.Queue()
    outputs = (output.Output("address", fact="x"),)
    known = [
        _tenant("gate", ours=False, outputs=outputs),
        _tenant("mine", ours=True, outputs=outputs),
        _tenant("web", ours=True, depends_on=("gate", "mine")),
        _tenant("other", ours=True, depends_on=("mine",)),
        _tenant("theirs", ours=False, depends_on=("gate",)),
    ]
    shared = types.SimpleNamespace(
        database=database, queue=waiting, tenants={one.name: one for one in known}, alone=False
    )
    heard = hearing.Hearing(cast("world.Shared", shared))

    await heard.turn()
    await heard.turn()
    assert len(waiting) == 0

    database.value = "two"
    await heard.turn()
    assert (await waiting.take())[0] == "web"
    assert len(waiting) == 0
