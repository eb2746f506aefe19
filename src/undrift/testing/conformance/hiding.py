"""The law on secrets: what was encrypted in Git, and the target's credentials, are seen nowhere."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from undrift.model import record, secret
from undrift.testing.conformance import trial

_FIRST = "planted-5bd1e995"
_SECOND = "planted-c6a4a793"


async def secrets_are_seen_nowhere(here: trial.Trial) -> None:
    """Not in plans, diffs, errors, what is remembered, or logs: made, changed, drifted, refused and removed.

    What is told to whoever asks for it is no secret; the credentials of such a target are.
    """
    here.declare({"alpha": _FIRST}, sealed=True)
    await here.look()
    await here.applied()
    trial.expect(await here.read() == {"alpha": _FIRST}, f"it is applied: {await here.read()}")
    await here.in_sync()
    await here.put("alpha", "by-hand")
    await here.look()
    await here.applied()
    here.declare({"alpha": _SECOND}, sealed=True)
    await here.look()
    await here.applied()
    here.declare({"alpha": _SECOND, "beta": _FIRST}, sealed=True)
    async with here.stand.refusing("beta", trial.FIRST):
        await here.reconcile()
    here.declare({"gamma": "three"})
    await here.applied()
    async with here.stand.away():
        await here.reconcile()

    public = here.capabilities.publishes
    planted = (*(() if public else (_FIRST, _SECOND)), *here.stand.planted)
    for where, text in _everything(here):
        for value in planted:
            at = text.find(value)
            trial.expect(at < 0, f"a secret is seen in {where}: … {text[max(at - 300, 0) : at + 100]} …")


def _everything(here: trial.Trial) -> Iterator[tuple[str, str]]:
    for told in here.told:
        yield "what a reconcile returned", repr(told)
        for text in _texts(_shown(told)):
            yield "what a reconcile returned", text
        if told.failure is not None:
            yield "a traceback", "".join(traceback.format_exception(told.failure.error))
    for text in _texts([here.database.plans, here.database.memories, here.database.journal]):
        yield "the database", text
    for line in here.log:
        yield "the log", line


def _shown(told: record.Reconciliation) -> list[Any]:
    """All of it but what was only ever meant for the provider."""
    return [told.plan, told.results, told.live, told.failure, told.held_back, told.warnings, told.inventory]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, whatever it is made of, but for secrets and what a provider keeps for itself."""
    if isinstance(value, secret.Secret):
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(name)
            yield from _texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name != "settings":
                yield from _texts(getattr(value, field.name))
    elif isinstance(value, BaseException):
        yield from _texts([value.args, vars(value), value.__cause__])
    else:
        yield value if isinstance(value, str) else repr(value)


LAWS = (trial.law(secrets_are_seen_nowhere),)
