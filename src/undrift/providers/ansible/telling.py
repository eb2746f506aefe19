"""What a run told, task by task, and the changes that a plan makes of it. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import textdiff
from undrift.model import plan, resource

TASK: Final = "Task"
PLAYBOOK: Final = "Playbook"
_BLIND: Final = "would have run if not in check mode"
_SHOWN: Final = 200
"""Texts up to this length are shown as fields; longer ones by their digest, and as a diff."""
_TEXTS: Final = ("before", "after")


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """What one task did (or would do) on one host.

    `outcome` is ok, changed, skipped, failed, ignored or unreachable. `blind` tasks were not tried, since check mode
    cannot; `hidden` ones are told without content, since they say `no_log`.
    """

    id: resource.ResourceId
    outcome: str
    action: str = ""
    origin: errors.Origin | None = None
    message: str = ""
    fields: tuple[plan.FieldChange, ...] = ()
    text: str = ""
    blind: bool = False
    hidden: bool = False

    @property
    def host(self) -> str:
        """Where it ran."""
        return self.id.namespace


def tasks(events: Iterable[Mapping[str, Any]], clean: Callable[[str], str], folder: str) -> tuple[Task, ...]:
    """The tasks of a run, in its order.

    `clean` takes secrets and paths of the run out of a text; `folder` is where the application is in Git. A task is
    named by its host, its place on that host and its name, so that the same run is told in the same words.
    """
    seen: Counter[str] = Counter()
    found: list[Task] = []
    for event in events:
        if event.get("kind") != "result":
            continue
        host = clean(str(event.get("host", "")))
        seen[host] += 1
        name = f"{seen[host]:03} {clean(str(event.get('task', '')))}".strip()
        found.append(_task(event, resource.ResourceId.of(TASK, name, host), clean, folder))
    return tuple(found)


def _task(
    event: Mapping[str, Any], rid: resource.ResourceId, clean: Callable[[str], str], folder: str
) -> Task:
    result: Mapping[str, Any] = event.get("result") or {}
    outcome = str(event.get("outcome", ""))
    if outcome == "ok" and result.get("changed"):
        outcome = "changed"
    hidden = bool(event.get("hidden"))
    fields, text = ((), "") if hidden else _differences(result, clean)
    items = [result, *(result.get("results") or ())]
    blind = outcome != "changed" and any(_BLIND in str(item.get("msg", "")) for item in items)
    return Task(
        id=rid,
        outcome=outcome,
        action=str(event.get("action", "")),
        origin=_origin(clean(str(event.get("path", ""))), folder),
        message="" if hidden else clean(_message(items)),
        fields=fields,
        text=text,
        blind=blind,
        hidden=hidden,
    )


def _message(items: Iterable[Mapping[str, Any]]) -> str:
    failed = [item for item in items if item.get("failed") and item.get("msg")]
    chosen = failed[-1] if failed else next((item for item in items if item.get("msg")), {})
    return str(chosen.get("msg", ""))


def _origin(path: str, folder: str) -> errors.Origin | None:
    """`/site.yml:3` of a run as a place in Git."""
    found = errors.Origin.read(path)
    if not found.file:
        return None
    file = found.file.lstrip("/")
    return errors.Origin(f"{folder}/{file}" if folder not in ("", ".") else file, found.line)


def _differences(
    result: Mapping[str, Any], clean: Callable[[str], str]
) -> tuple[tuple[plan.FieldChange, ...], str]:
    """Fields and text of what a result says that differs."""
    fields: dict[str, plan.FieldChange] = {}
    texts: list[str] = []
    for number, one in enumerate(_diffs(result)):
        above = f"{number}." if number else ""
        if "prepared" in one:
            texts.append(clean(str(one["prepared"])))
            _add(fields, f"{above}content", "", _name(clean(str(one["prepared"]))))
            continue
        before, after = (one.get(side) for side in _TEXTS)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            for name in sorted({*map(str, before), *map(str, after)}):
                _add(
                    fields, f"{above}{name}", _plain(before.get(name), clean), _plain(after.get(name), clean)
                )
            continue
        old, new = clean(_spell(before)), clean(_spell(after))
        header = clean(str(one.get("before_header") or one.get("after_header") or "content"))
        texts.append(textdiff.unified(old.encode(), new.encode(), header.lstrip("/").split(" ")[0]))
        _add(fields, f"{above}content", _shown(old), _shown(new))
    return tuple(fields.values()), "".join(texts)


def _diffs(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in (result, *(result.get("results") or ())):
        found = item.get("diff") if isinstance(item, Mapping) else None
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, Mapping) and one:
                yield one


def _add(fields: dict[str, plan.FieldChange], path: str, before: Any, after: Any) -> None:
    if before != after:
        fields.setdefault(path, plan.FieldChange(path, before, after))


def _plain(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): _plain(item, clean) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, clean) for item in value]
    return value


def _spell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else _name(text)


def _name(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def change(task: Task, reason: plan.Reason) -> plan.Change:
    """A task that would change something, as a change of a plan."""
    fields = task.fields or (plan.FieldChange("changed", None, "yes, and Ansible does not say what"),)
    if task.outcome == "failed":
        fields = (plan.FieldChange("outcome", None, resource.Unknown("the tasks before it")),)
    before = {field.path: field.before for field in fields}
    after = {field.path: field.after for field in fields}
    return plan.Change(
        plan.Action.UPDATE,
        task.id,
        reason,
        resource.Resource(task.id, after, task.origin),
        resource.LiveResource(task.id, before),
        fields,
        text=task.text,
    )


def live(task: Task) -> resource.LiveResource:
    """The same task as it is now: what it would still change."""
    made = change(task, plan.Reason.DRIFT).live
    return made if made is not None else resource.LiveResource(task.id, {})


def settled(wanted: plan.Change) -> resource.LiveResource:
    """A task that has nothing to change any more."""
    return resource.LiveResource(wanted.id, wanted.desired.fields if wanted.desired is not None else {})
