"""plan-100k: planning 100,000 unchanged resources from states in memory, digest included, parsing not.

The floor is a bare loop that looks each resource up and compares its fields.
"""

from __future__ import annotations

import gc

from benchmarks import figures
from undrift.engine import planning
from undrift.model import application, inventory, lock, plan, resource, target

COUNT = 100_000


def situation() -> plan.Situation:
    """A hundred thousand files, all as declared; desired and live are equal but not the same objects."""
    desired: dict[resource.ResourceId, resource.Resource] = {}
    live: dict[resource.ResourceId, resource.LiveResource] = {}
    for number in range(COUNT):
        rid = resource.ResourceId.of("File", f"/srv/site/{number // 100}/{number}.html")
        same = resource.ResourceId.of("File", f"/srv/site/{number // 100}/{number}.html")
        desired[rid] = resource.Resource(rid, _fields(number))
        mark = inventory.Mark("agent", "site", same, "main@sha1:0", "sha256:0")
        live[same] = resource.LiveResource(same, _fields(number), mark)
    return plan.Situation(
        application=application.Application("site", application.SourceReference("config"), "place"),
        owner=inventory.Owner("agent", "site"),
        lock=lock.InputLock({"source": "sha1:0"}, "main@sha1:0"),
        desired=resource.DesiredState(desired),
        live=resource.LiveState(live),
        inventory=inventory.Inventory("site"),
        capabilities=target.Capabilities(),
        key=b"key",
    )


def _fields(number: int) -> dict[str, object]:
    return {"digest": f"sha256:{number:064x}", "mode": "0644", "owner": "root", "group": "root"}


def loop(given: plan.Situation) -> int:
    """The floor: look up and compare, nothing else."""
    live = given.live.resources
    return sum(1 for rid, wanted in given.desired.resources.items() if live[rid].fields == wanted.fields)


def main() -> None:
    """Measure both in one run."""
    given = situation()
    gc.freeze()
    found = planning.make_plan(given)
    if found.unchanged != COUNT or found.waves or loop(given) != COUNT:
        raise SystemExit("the plan is not empty")
    floor = figures.best(lambda: loop(given))
    figures.tell("plan-100k", figures.best(lambda: planning.make_plan(given)), "s", floor)


if __name__ == "__main__":
    main()
