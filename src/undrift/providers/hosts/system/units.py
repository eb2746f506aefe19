"""Units of systemd of any type, and drop-ins that add to somebody else's.

A unit without content is one that the system brought along: it is enabled, started and stopped, and left as it is in
the end. What does not start with its new content gets its former content back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.model import health, resource
from undrift.providers.hosts import kinds, shaping, transport
from undrift.providers.hosts.system import checking, facility, snippets

_FOLDER: Final = "/etc/systemd/system"
_ACCESS: Final = transport.Attributes(0o644)
_WAIT: Final = 120.0
_SOON: Final = 0.5
"""Seconds after which what cannot be started at all has failed."""
_RUNNING: Final = frozenset({"active", "activating", "reloading"})
_ENABLED: Final = frozenset({"enabled", "enabled-runtime", "static", "alias", "generated", "indirect"})
_PROPERTIES: Final = "LoadState,ActiveState,UnitFileState,NeedDaemonReload,Result"
_SHOW: Final = f'systemctl show --no-pager --property={_PROPERTIES} -- "$@"'
_TRIGGER: Final = "trigger"


class Units(facility.Facility):
    """Units."""

    serves = (kinds.UNIT,)

    def path_of(self, rid: resource.ResourceId) -> str:
        """See `facility.Facility`."""
        return _path(rid)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {_path(rid): transport.Need.CONTENT for rid in ids}

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question(_SHOW, tuple(sorted(rid.name for rid in ids)))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        shown = blocks(told.lines("units"))
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid, properties in zip(sorted(ids), shown, strict=True):
            seen = told.seen.get(_path(rid))
            if seen is None and properties.get("LoadState") in {"not-found", ""}:
                continue
            fields = _fields(properties)
            if seen is not None:
                fields["digest"] = snippets.shown(seen, hidden=rid in told.hidden)["digest"]
            if seen is not None and properties.get("NeedDaemonReload") == "yes":
                fields["digest"] = "(another one is loaded)"
            fields[_TRIGGER] = told.notes.get(rid, {}).get(_TRIGGER, "")
            known[rid] = facility.Known(fields, _health(rid, properties))
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        wanted, live = order.wanted, order.live or {}
        fields, name, path = wanted.fields, wanted.id.name, _path(wanted.id)
        written = "digest" in fields and fields["digest"] != live.get("digest")
        former: bytes | None = None
        if written:
            content = shaping.content_of(wanted)
            check = tuple(wanted.settings.get("check") or ())
            if check:
                await checking.before(host, wanted, path, content, check)
            seen = (await host.look({path: transport.Need.CONTENT})).get(path)
            former = seen.content if seen is not None else None
            await host.change([transport.Write(path, content, _ACCESS, replace="digest" in live)])
            await _systemctl(host, "daemon-reload")
        if "enabled" in fields and bool(live.get("enabled")) != fields["enabled"]:
            word = "enable" if fields["enabled"] else "disable"
            await _systemctl(host, word, name, flags=("--no-reload",) if written else ())
        changed = written or fields.get(_TRIGGER, "") != live.get(_TRIGGER, "")
        try:
            await _state(host, wanted, live, changed=changed)
            if former is not None and live.get("state") == "running" and fields.get("state") != "stopped":
                await _lives(host, name)
        except errors.ChangeRefused as error:
            if former is None:
                raise
            await _back(host, path, former, name)
            raise put_back(wanted, error) from error
        return {_TRIGGER: fields.get(_TRIGGER, "")}

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`."""
        if "digest" not in gone.fields:
            return
        name = gone.id.name
        await facility.attempt(host, ["systemctl", "disable", "--now", "-q", "--", name], timeout=_WAIT)
        await host.change([transport.Remove(_path(gone.id), transport.Sort.FILE)])
        await _systemctl(host, "daemon-reload")
        await facility.attempt(host, ["systemctl", "reset-failed", "-q", "--", name])


class DropIns(facility.Facility):
    """What is added to units of somebody else."""

    serves = (kinds.DROP_IN,)

    def path_of(self, rid: resource.ResourceId) -> str:
        """See `facility.Facility`."""
        return _drop_in(rid)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {_drop_in(rid): transport.Need.DIGEST for rid in ids}

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question(_SHOW, tuple(_unit(rid) for rid in sorted(ids)))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid, properties in zip(sorted(ids), blocks(told.lines("units")), strict=True):
            seen = told.seen.get(_drop_in(rid))
            if seen is not None:
                loaded = properties.get("NeedDaemonReload") != "yes"
                known[rid] = facility.Known(
                    {**snippets.shown(seen, hidden=rid in told.hidden), "loaded": loaded}
                )
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        wanted, path = order.wanted, _drop_in(order.wanted.id)
        content = shaping.content_of(wanted)
        seen = (await host.look({path: transport.Need.CONTENT})).get(path)
        former = seen.content if seen is not None else None
        access = transport.Attributes(0o644, "root", "root")
        await host.change([transport.Write(path, content, access, replace=order.live is not None)])
        await _systemctl(host, "daemon-reload")
        if not wanted.settings.get("restart") or former == content:
            return facility.NOTHING
        unit = _unit(wanted.id)
        if (await facility.attempt(host, ["systemctl", "is-active", "-q", "--", unit])).returncode:
            return facility.NOTHING
        try:
            await _systemctl(host, "restart", unit)
        except errors.ChangeRefused as error:
            await _back(host, path, former, unit)
            raise put_back(wanted, error) from error
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`. The unit goes on without, from its next start."""
        await host.change([transport.Remove(_drop_in(gone.id), transport.Sort.FILE)])
        await _systemctl(host, "daemon-reload")


def blocks(lines: Sequence[str]) -> list[dict[str, str]]:
    """What `show` says of several units: one block of lines each."""
    text = "\n".join(lines).strip("\n")
    return [
        dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        for block in text.split("\n\n")
    ]


def put_back(wanted: resource.Resource, error: errors.UndriftError) -> errors.ChangePutBack:
    """The error for what did not start, and was put back."""
    return errors.ChangePutBack(
        f"{wanted.id} did not start as declared, and what was there before was put back",
        origin=wanted.origin,
        why=error.why or error.what,
        hint="correct it in Git; this revision is not tried again",
    )


def _fields(properties: Mapping[str, str]) -> dict[str, Any]:
    active = properties.get("ActiveState", "")
    return {
        "enabled": properties.get("UnitFileState") in _ENABLED,
        "state": "running" if active in _RUNNING else "failed" if active == "failed" else "stopped",
    }


def _health(rid: resource.ResourceId, properties: Mapping[str, str]) -> health.Health:
    if properties.get("ActiveState") != "failed":
        return health.HEALTHY
    return health.Health(
        health.Status.DEGRADED, f"{rid.name} failed: {properties.get('Result') or 'no reason given'}"
    )


async def _state(
    host: transport.Transport, wanted: resource.Resource, live: resource.Fields, *, changed: bool
) -> None:
    """Start, stop or restart: what runs and was changed starts anew, whether or not it was declared to run."""
    asked, name = wanted.fields.get("state"), wanted.id.name
    on = live.get("state") == "running"
    if asked == "stopped":
        if on:
            await _systemctl(host, "stop", name)
    elif on and changed:
        await _systemctl(host, "restart", name)
    elif asked == "running" and not on:
        await facility.attempt(host, ["systemctl", "reset-failed", "-q", "--", name])
        await _systemctl(host, "start", name)


async def _lives(host: transport.Transport, name: str) -> None:
    """Raise `ChangeRefused` for what fails right after its start: systemd does not wait for most types of programs."""
    await asyncio.sleep(_SOON)
    shown = await facility.run(
        host, ["systemctl", "show", f"--property={_PROPERTIES}", "--", name], f"seeing {name}"
    )
    found = blocks(shown.splitlines())[0]
    if found.get("ActiveState") == "failed":
        raise errors.ChangeRefused(f"{name} fails", why=f"it failed at once: {found.get('Result')}")


async def _back(host: transport.Transport, path: str, former: bytes | None, unit: str) -> None:
    """Put former content back and start the unit with it."""
    step: transport.Step = (
        transport.Remove(path, transport.Sort.FILE)
        if former is None
        else transport.Write(path, former, _ACCESS, replace=True)
    )
    await host.change([step])
    await _systemctl(host, "daemon-reload")
    await facility.attempt(host, ["systemctl", "reset-failed", "-q", "--", unit])
    await facility.attempt(host, ["systemctl", "restart", "--", unit], timeout=_WAIT)


async def _systemctl(host: transport.Transport, word: str, *names: str, flags: Sequence[str] = ()) -> None:
    """What was just reloaded need not be once more: that is the longest part of it."""
    base = ["systemctl", "--no-pager", "--no-ask-password", "-q", *flags, word]
    command = [*base, *(["--", *names] if names else [])]
    done = await facility.attempt(host, command, timeout=_WAIT)
    if done.returncode:
        raise facility.refusal(f"systemctl {' '.join((word, *names))}", done)


def _path(rid: resource.ResourceId) -> str:
    return f"{_FOLDER}/{rid.name}"


def drop_in_id(unit: str, name: str) -> resource.ResourceId:
    """The id of a drop-in: its unit, and its name there."""
    return resource.ResourceId.of(kinds.DROP_IN, f"{unit}/{name}")


def _unit(rid: resource.ResourceId) -> str:
    return rid.name.partition("/")[0]


def _drop_in(rid: resource.ResourceId) -> str:
    unit, _, name = rid.name.partition("/")
    return f"{_FOLDER}/{unit}.d/{name}.conf"
