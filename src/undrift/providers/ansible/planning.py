"""A run in check mode → the changes of a plan, and how far they can be trusted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from undrift import errors
from undrift.model import plan
from undrift.providers.ansible import running, telling

_FEW = 5


def changes(ran: running.Ran, reason: plan.Reason) -> tuple[plan.Change, ...]:
    """The tasks that would change something.

    Raises `TargetUnavailable` where a host could not be looked at, `ChangeRefused` where a task fails although
    nothing before it was left undone.
    """
    away = ran.by_outcome("unreachable")
    if away:
        raise errors.gather([unreachable(task) for task in away])
    found: list[plan.Change] = []
    refused: list[errors.UndriftError] = []
    undone: set[str] = set()
    for task in ran.tasks:
        if task.outcome == "changed" or task.blind:
            undone.add(task.host)
        if task.outcome == "changed" or (task.outcome == "failed" and task.host in undone):
            found.append(telling.change(task, reason))
        elif task.outcome == "failed":
            refused.append(failed(task))
    if refused:
        raise errors.gather(refused)
    return tuple(found)


def unreachable(task: telling.Task) -> errors.TargetUnavailable:
    """The error for a host that is away."""
    return errors.TargetUnavailable(
        f"{task.host} cannot be reached",
        origin=task.origin,
        why=task.message,
        hint="see that it is up, and that the agent may sign in on it",
    )


def failed(task: telling.Task) -> errors.ChangeRefused:
    """The error for a task that fails."""
    said = "it says no_log, so its message is not shown" if task.hidden else task.message
    error = errors.ChangeRefused(
        f"task {_name(task)} fails on {task.host}",
        origin=task.origin,
        why=said,
        hint="correct the task, or the host; the next reconcile runs the playbook again",
    )
    error.about = str(task.id)
    return error


def warnings(
    ran: running.Ran, found: Sequence[plan.Change], surprises: Sequence[str]
) -> tuple[errors.UndriftError, ...]:
    """How far a plan can be trusted, said with every plan that would run the playbook."""
    told: list[errors.UndriftError] = []
    blind = [f"{_name(task)} on {task.host}" for task in ran.tasks if task.blind]
    unsure = [f"{_name(task)} on {task.host}" for task in ran.by_outcome("failed")]
    if found:
        why = "".join(
            f"; {text}: {_few(names)}"
            for text, names in (
                ("not tried, since check mode cannot", blind),
                ("fail in check mode, perhaps since what they need is not there yet", unsure),
            )
            if names
        )
        told.append(
            errors.PlanInexact(
                "this plan is as exact as Ansible's check mode is",
                why=f"modules say themselves what they would change{why}",
                hint="what a run changes beyond its plan is told with the next one",
            )
        )
    if surprises:
        told.append(
            errors.PlanInexact(
                "the last run changed more than check mode had foreseen",
                why=_few(surprises),
                hint="give such tasks check_mode: false where looking is safe, creates/removes, or changed_when",
            )
        )
    return tuple(told)


def _name(task: telling.Task) -> str:
    return task.id.name.partition(" ")[2] or task.action


def _few(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _FEW} more" if len(known) > _FEW else ""
    return ", ".join(known[:_FEW]) + more


def outcomes(wave: Sequence[plan.Change], ran: running.Ran) -> dict[str, errors.UndriftError]:
    """What went wrong with each change of a wave in a run, by its id as text.

    A task that failed or was unreachable is its host's end: whatever was planned there and not reached fails for its
    sake, and so does the playbook. Where nothing of that is in the wave, its last change does.
    """
    reached = {_place(task) for task in ran.tasks}
    bad = {task.host: task for task in reversed(ran.by_outcome("failed", "unreachable"))}
    wrong: dict[str, errors.UndriftError] = {}
    for change in wave:
        first = bad.get(change.id.namespace)
        if change.id.kind == telling.PLAYBOOK:
            first = next(iter(bad.values()), None)
        elif place(change) in reached and (first is None or place(change) != _place(first)):
            continue
        if first is not None:
            wrong[str(change.id)] = _ended(first)
    if bad and not wrong and wave:
        wrong[str(wave[-1].id)] = _ended(next(iter(bad.values())))
    return wrong


def _ended(task: telling.Task) -> errors.UndriftError:
    return unreachable(task) if task.outcome == "unreachable" else failed(task)


def surprises(wave: Sequence[plan.Change], ran: running.Ran) -> tuple[str, ...]:
    """The tasks that changed something and were not in the plan."""
    planned = {place(change) for change in wave}
    return tuple(
        f"{_name(task)} on {task.host}" for task in ran.by_outcome("changed") if _place(task) not in planned
    )


def place(change: plan.Change) -> tuple[str, str, str]:
    """What stays the same of a task between a run in check mode and a real one."""
    origin = change.desired.origin if change.desired is not None else None
    return (change.id.namespace, change.id.name.partition(" ")[2], str(origin or ""))


def _place(task: telling.Task) -> tuple[str, str, str]:
    return (task.host, task.id.name.partition(" ")[2], str(task.origin or ""))


def left(wave: Sequence[plan.Change], ran: running.Ran) -> dict[str, telling.Task]:
    """The tasks of a wave that would still change something, by the id of their change as text."""
    still = {_place(task): task for task in ran.by_outcome("changed", "failed")}
    return {str(change.id): still[place(change)] for change in wave if place(change) in still}
