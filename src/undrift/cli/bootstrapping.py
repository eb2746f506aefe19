"""An agent's own documents in a checkout, and the first time that they are made true."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from undrift import errors, interfaces, plugins
from undrift.cli import offline, telling
from undrift.config import part
from undrift.lib import atomic, yaml
from undrift.model import agent, plan, target

_OWN = "undrift"
_SYSTEM = "undrift-system"
_RIGHTS = "rights.yaml"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for, in the words of the command line; "" where nothing was said."""

    layer: str
    checkout: pathlib.Path
    repository: str
    branch: str
    path: str
    agent: str
    target: str
    image: str
    storage: str


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """The files that were written, the changes that were made, and what a person does next."""

    files: tuple[pathlib.Path, ...]
    changes: tuple[plan.Change, ...]
    following: tuple[str, ...]


def bootstrap(order: Order, *, apply: bool) -> Done:
    """Write the files, work out the rights, and make it true. Raises what stands in the way."""
    provider = plugins.Registry(None).provider(order.layer)
    if not isinstance(provider, interfaces.Installer):
        raise errors.UsageInvalid(
            f"an agent cannot be installed on {order.layer}", hint="run `undrift agent` there, see its how-to"
        )
    if not order.checkout.is_dir():
        raise errors.UsageInvalid(f"{order.checkout} is no folder", hint="name your checkout with --checkout")
    given = agent.Installation(
        image=order.image,
        repository=order.repository,
        branch=order.branch,
        path=order.path,
        agent=order.agent,
        storage=order.storage,
    )
    documents, credential = provider.installation(given)
    files = [path for path, text in _files(order, documents) if _write(path, text, anew=False)]
    rights = order.checkout / _SYSTEM / _RIGHTS
    # The right to its own rights is among them: a first version of the file stands for it.
    _write(rights, provider.rights(given.name, target.NO_FACTS, {}), anew=False)
    with telling.working("working out rights"):
        text = asyncio.run(_rights(order, given.name))
    if _write(rights, text, anew=True):
        files.append(rights)
    changes: tuple[plan.Change, ...] = ()
    if apply:
        with telling.working("installing the agent"):
            changes = _apply(order)
    return Done(tuple(sorted(files)), changes, _following(order, credential, applied=apply))


def told(done: Done) -> Iterator[str]:
    """What was done, and what comes next, for people."""
    yield from (f"wrote {path}" for path in done.files)
    yield from (f"{one.action.value} {one.id}" for one in done.changes)
    if not done.files and not done.changes:
        yield "everything is there already"
    yield ""
    yield "next:"
    yield from (f"  {number}. {text}" for number, text in enumerate(done.following, start=1))


def _files(order: Order, documents: Any) -> Iterator[tuple[pathlib.Path, str]]:
    configuration = order.checkout / order.path
    target = {"provider": order.layer, "agent": order.agent}
    own = {"source": {"path": _SYSTEM}, "target": order.target, "policy": {"adopt": ["*"]}}
    yield configuration / f"agent-{order.agent}.yaml", _document("Agent", order.agent, {})
    yield configuration / f"target-{order.target}.yaml", _document("Target", order.target, target)
    yield configuration / f"{_OWN}.yaml", _document("Application", _OWN, own)
    for one in documents:
        yield order.checkout / _SYSTEM / f"{str(one['kind']).lower()}.yaml", yaml.dump(dict(one))


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> str:
    return yaml.dump(
        {"apiVersion": part.API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
    )


def _write(path: pathlib.Path, text: str, *, anew: bool) -> bool:
    """Whether a file was written: one that is there stays, unless it is ours to write anew."""
    if path.exists() and (not anew or path.read_text(encoding="utf-8") == text):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, text.encode(), 0o644)
    return True


async def _rights(order: Order, name: str) -> str:
    """The rights that everything declared for the target needs."""
    found = await offline.declared(order.checkout, order.path, order.target)
    wanted: dict[str, list[Any]] = {}
    for one in found:
        wanted.setdefault(one.application.account, []).extend(one.desired.resources.values())
    return found[0].provider.rights(name, found[0].facts, wanted)


def _apply(order: Order) -> tuple[plan.Change, ...]:
    told = asyncio.run(offline.apply(order.checkout, order.path, _OWN))
    if told.failure is not None:
        raise told.failure.error
    if told.verdict is not None and told.verdict.stops:
        raise errors.gather(list(told.verdict.stops))
    return told.plan.changes if told.plan is not None else ()


def _following(order: Order, credential: str, *, applied: bool) -> tuple[str, ...]:
    first = f"git -C {order.checkout} add -A && git commit && git push"
    more = () if applied else ("run this again without --files-only, or apply the files of undrift-system",)
    return (first, f"where the repository is private: {credential}", *more)
