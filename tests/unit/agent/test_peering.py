"""What others see of an application: the same by its own process as by what it wrote down."""

from __future__ import annotations

import json

import pytest

from undrift import errors
from undrift.agent import peering, shapes
from undrift.engine import rolling
from undrift.model import health, lock, output, plan, record, secret, view

NEW, OLD = lock.InputLock({"source": "2", "facts": "f"}), lock.InputLock({"source": "1"})
OUTPUTS = (output.Output("a", fact="x"), output.Output("b", fact="x"), output.Output("c", fact="x"))


def _told(**more: object) -> record.Reconciliation:
    base: dict[str, object] = {
        "ending": record.Ending.IN_SYNC,
        "health": health.HEALTHY,
        "newest": NEW,
        "plan": plan.Plan("web", NEW, ""),
        "verdict": plan.Verdict(),
    }
    return record.Reconciliation("r", "web", started=0.0, **(base | more))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    "told, good, standing",
    [
        (_told(), NEW, view.Standing.WELL),
        (
            _told(
                ending=record.Ending.WAITING,
                verdict=plan.Verdict((errors.RolloutWaiting("web waits for its turn"),)),
            ),
            OLD,
            view.Standing.BEHIND,
        ),
        (
            _told(
                ending=record.Ending.FAILED,
                failure=record.Failure(record.Phase.VERIFY, errors.Unhealthy("Service/x is Degraded")),
            ),
            OLD,
            view.Standing.FAILED,
        ),
        (
            _told(
                newest=None,
                ending=record.Ending.FAILED,
                failure=record.Failure(record.Phase.DISCOVER, errors.TargetUnavailable("it is away")),
            ),
            OLD,
            view.Standing.AWAY,
        ),
    ],
)
def test_replicas_see_the_same(
    told: record.Reconciliation, good: lock.InputLock, standing: view.Standing
) -> None:
    """A restart, or another replica, knows what history keeps: as JSON."""
    own = peering.seen(told, good)
    document = json.loads(json.dumps(shapes.reconciliation(told)))
    remembered = peering.remembered(document, good)

    assert rolling.standing(own, NEW).standing is standing
    assert rolling.standing(remembered, NEW) == rolling.standing(own, NEW)


def test_outputs_come_by_the_database_but_for_secrets() -> None:
    """Of a secret there is only the name; of what nobody has published yet it is said that it is lacking."""
    published = output.Told({"a": [1, "x"], "b": secret.Secret("hush-hush")}, {})
    text = json.dumps(shapes.reconciliation(_told(outputs=published)))
    peer = shapes.peer(json.loads(text), OUTPUTS)

    assert "hush" not in text
    assert peer.outputs.values == {"a": [1, "x"]}
    assert sorted(peer.outputs.lacking) == ["b", "c"]
    assert "secrets are not shared" in peer.outputs.lacking["b"]
    assert peer.outputs.lacking["c"] == "it was not looked at yet"
