"""Manifest entries that run: services and commands, and what makes a service start anew."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from undrift import errors
from undrift.lib import canonical, words
from undrift.model import resource, secret
from undrift.providers.hosts import documents, kinds, loading, programs, systemd, transport

_TAIL = 20
_WITH_CONTENT = frozenset({kinds.FILE, kinds.BLOCK})
SYSTEMD = "systemd"
SUPERVISOR = "supervisor"


def add_command(reading: loading.Reading, item: documents.Once, origin: errors.Origin) -> None:
    """A command that runs once."""
    command = [reading.fill(word, origin) for word in item.command]
    fields: dict[str, Any] = {
        "command": command,
        "directory": item.directory,
        "environment": _environment(reading, item.environment, origin),
        "runAgain": reading.fill(item.run_again, origin),
    }
    _plain_words(item.name, [*command, *fields["environment"], fields["runAgain"]])
    rid = resource.ResourceId.of(kinds.COMMAND, item.name)
    settings = {"timeout": item.timeout}
    reading.draft.add(resource.Resource(rid, _hidden(reading, fields), origin, settings=settings), item)
    _need_files(reading.draft, rid, command)


def add_service(reading: loading.Reading, item: documents.Service, origin: errors.Origin) -> None:
    """A program that runs all the time."""
    manager = _manager(reading, item)
    if item.command is None and manager == SUPERVISOR:
        raise errors.ResourceInvalid(
            f"the service {item.name} has no command",
            origin=origin,
            why="it is run by supervisor here",
            hint="say which program to run: command: [program, argument]",
        )
    command = None if item.command is None else [reading.fill(word, origin) for word in item.command]
    fields: dict[str, Any] = {
        "manager": manager,
        "command": command,
        "directory": item.directory or "/",
        "environment": _environment(reading, item.environment, origin),
        "user": item.user,
        "state": item.state,
        "enabled": item.enabled,
        "health": _health(reading, item.health, origin),
        "trigger": item.restarted_at or "",
        "reload": "",
    }
    _one_line(f"the service {item.name}", [*(command or ()), *fields["environment"]])
    rid = resource.ResourceId.of(kinds.SERVICE, item.name)
    shown = _hidden(reading, fields)
    if manager == SUPERVISOR:
        programs.check(item.name, shown)
    elif reading.draft.place.root != "/":
        raise errors.ResourceInvalid(
            f"the service {item.name} cannot be run by systemd here",
            origin=origin,
            why=f"the target's root is {reading.draft.place.root}, and units belong to the whole machine",
            hint="use manager: supervisor, or a Target with root: /",
        )
    elif command is not None:
        systemd.text(item.name, shown)
    settings = {"restart_on": item.restart_on, "reload_on": item.reload_on, "confirm": item.confirm}
    reading.draft.add(resource.Resource(rid, shown, origin, settings=settings), item)
    _need_files(reading.draft, rid, command or ())


def resolve_triggers(draft: loading.Draft) -> None:
    """What a service restarts and reloads on becomes a digest of all of that, so that a change of it is planned."""
    for rid, one in [pair for pair in draft.found.items() if pair[0].kind in {kinds.SERVICE, kinds.UNIT}]:
        fields, needs = dict(one.fields), list(one.depends_on)
        of: list[resource.ResourceId] = []
        for name, asked in (("trigger", "restart_on"), ("reload", "reload_on")):
            found = [each for path in one.settings[asked] for each in _below(draft, path, one)]
            if found or fields.get(name):
                fields[name] = _trigger(fields.get(name), found)
            of += (each.id for each in found)
        needs += of
        settings = {**one.settings, "files": tuple(each for each in of if each.kind in _WITH_CONTENT)}
        draft.found[rid] = dataclasses.replace(
            one, fields=fields, depends_on=tuple(dict.fromkeys(needs)), settings=settings
        )
        if rid.kind == kinds.SERVICE:
            _keep_former(draft, settings["files"])


def _keep_former(draft: loading.Draft, files: Iterable[resource.ResourceId]) -> None:
    """What a service depends on is kept as it was until the service runs well with the new."""
    for rid in files:
        one = draft.found[rid]
        draft.found[rid] = dataclasses.replace(one, settings={**one.settings, "keep": True})


def _below(draft: loading.Draft, path: str, service: resource.Resource) -> Sequence[resource.Resource]:
    wanted = posixpath.normpath(path)
    found = [
        one
        for rid, one in draft.found.items()
        if str(rid) == path
        or ((place := kinds.path_of(rid)) and (place == wanted or place.startswith(f"{wanted}/")))
    ]
    if not found:
        known = {kinds.path_of(rid) or str(rid) for rid in draft.found}
        draft.wrong.append(
            errors.ResourceInvalid(
                f"{service.id} restarts or reloads on {path}, which this application does not declare",
                origin=service.origin,
                hint=words.suggestion(wanted, known),
            )
        )
    return found


def _trigger(asked: Any, found: Iterable[resource.Resource]) -> Any:
    told = {str(one.id): {name: kinds.reveal(value) for name, value in one.fields.items()} for one in found}
    hidden = isinstance(asked, secret.Secret) or any(
        isinstance(value, secret.Secret) for one in found for value in one.fields.values()
    )
    digest = canonical.digest([kinds.reveal(asked), told])
    return kinds.hide(digest) if hidden else digest


def _manager(reading: loading.Reading, item: documents.Service) -> str:
    asked = item.manager if item.manager != "auto" else reading.draft.place.manager
    if asked != "auto":
        return asked
    facts = reading.variables["facts"]
    return SYSTEMD if facts.get("systemd") and reading.draft.place.root == "/" else SUPERVISOR


def _health(
    reading: loading.Reading, asked: documents.Health | None, origin: errors.Origin
) -> dict[str, Any] | None:
    if asked is None:
        return None
    return {
        "http": None if asked.http is None else reading.fill(asked.http, origin),
        "tcp": None if asked.tcp is None else reading.fill(asked.tcp, origin),
        "command": None if asked.command is None else [reading.fill(word, origin) for word in asked.command],
        "within": asked.within,
    }


def _environment(reading: loading.Reading, asked: Mapping[str, str], origin: errors.Origin) -> list[str]:
    """As a list, because it is compared as a whole: a variable that is not declared must not be there."""
    return [f"{name}={reading.fill(value, origin)}" for name, value in sorted(asked.items())]


def _hidden(reading: loading.Reading, fields: Mapping[str, Any]) -> dict[str, Any]:
    """All that may hold a secret is one when the manifest was encrypted in Git."""
    if not reading.hidden:
        return dict(fields)
    exposed = {"manager", "directory", "user", "state", "enabled"}
    return {name: value if name in exposed else kinds.hide(value) for name, value in fields.items()}


def _plain_words(name: str, texts: Sequence[str]) -> None:
    """Raise for what cannot be handed to any program."""
    if any("\0" in text or not loading.is_text(text) for text in texts):
        raise errors.ResourceInvalid(
            f"the command {name} has what is no text in it", hint="put it into a file and name that"
        )


def _one_line(name: str, texts: Sequence[str]) -> None:
    """Raise unless each is one line of text, as service managers need it."""
    for text in texts:
        if "\0" in text or text.splitlines() not in ([], [text]) or not loading.is_text(text):
            raise errors.ResourceInvalid(
                f"{name} has a line break, or what is no text, in its command or environment",
                hint="put it into a file and name that",
            )


def _need_files(draft: loading.Draft, rid: resource.ResourceId, command: Sequence[str]) -> None:
    """What runs needs the files that its command names, by their path below the root or on the machine."""
    words_of = set(command)
    if not words_of or rid not in draft.found:
        return
    needs = tuple(
        other
        for other in draft.found
        if other.kind in kinds.AT_PATHS
        and (other.name in words_of or draft.place.real(other.name) in words_of)
    )
    if needs:
        draft.found[rid] = dataclasses.replace(draft.found[rid], depends_on=needs)


async def run(host: transport.Transport, wanted: resource.Resource) -> None:
    """Run a command to its end. Raises `ChangeRefused` when it fails, with the last lines that it wrote."""
    fields = {name: kinds.reveal(value) for name, value in wanted.fields.items()}
    order = transport.Order(
        command=tuple(fields["command"]),
        directory=fields["directory"],
        environment=dict(pair.split("=", 1) for pair in fields["environment"]),
        timeout=wanted.settings.get("timeout", 60.0),
    )
    done = await host.run(order)
    if done.returncode == 0:
        return
    hidden = any(isinstance(value, secret.Secret) for value in wanted.fields.values())
    said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-_TAIL:]
    raise errors.ChangeRefused(
        f"{wanted.id} failed with exit code {done.returncode}",
        why="what it wrote may hold secrets and is not shown" if hidden else "\n".join(said),
        hint="correct the command; change runAgain to try the same once more",
    )
