"""Files of a form of their own in a folder that a program reads: sudoers, and entries of cron."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from undrift.model import resource
from undrift.providers.hosts import kinds, shaping, transport
from undrift.providers.hosts.system import checking, facility

_VISUDO: Final = ("visudo", "-cf", "{}")


class Sudoers(facility.Facility):
    """Files in /etc/sudoers.d. `visudo` has to accept one before it lies there."""

    serves = (kinds.SUDOERS,)

    async def ways_in(
        self, host: transport.Transport, rid: resource.ResourceId, user: str
    ) -> tuple[str, ...]:
        """See `facility.Facility`: any of them may forbid what we do by sudo. Root needs none."""
        return () if user == "root" else (_sudoers(rid),)

    def path_of(self, rid: resource.ResourceId) -> str:
        """See `facility.Facility`."""
        return _sudoers(rid)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {_sudoers(rid): transport.Need.DIGEST for rid in ids}

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            seen = told.seen.get(_sudoers(rid))
            if seen is not None:
                known[rid] = facility.Known(shown(seen, hidden=rid in told.hidden))
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        content = shaping.content_of(order.wanted)
        access = transport.Attributes(0o440, "root", "root")
        path = _sudoers(order.wanted.id)
        await checking.before(host, order.wanted, path, content, _VISUDO)
        await host.change([transport.Write(path, content, access, replace=order.live is not None)])
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`."""
        await host.change([transport.Remove(_sudoers(gone.id), transport.Sort.FILE)])


class Cron(facility.Facility):
    """Entries in /etc/cron.d, each in a file of its own (crontab(5))."""

    serves = (kinds.CRON,)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {_cron(rid): transport.Need.CONTENT for rid in ids}

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            seen, text = told.seen.get(_cron(rid)), told.text(_cron(rid))
            if seen is not None:
                fields = read_cron(text or "")
                if rid in told.hidden:
                    fields = {name: kinds.hide(value) for name, value in fields.items()}
                known[rid] = facility.Known({**fields, **access_of(seen)})
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        fields = {name: kinds.reveal(value) for name, value in order.wanted.fields.items()}
        content = write_cron(fields).encode("utf-8", "surrogateescape")
        access = transport.Attributes(int(fields["mode"], 8), "root", "root")
        replace = order.live is not None
        await host.change([transport.Write(_cron(order.wanted.id), content, access, replace=replace)])
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`."""
        await host.change([transport.Remove(_cron(gone.id), transport.Sort.FILE)])


def access_of(seen: transport.Seen) -> dict[str, Any]:
    """Mode and owner as fields."""
    return {"mode": f"{seen.mode:04o}", "owner": seen.owner, "group": seen.group}


def shown(seen: transport.Seen, *, hidden: bool) -> dict[str, Any]:
    """A file as fields: its digest, mode and owner."""
    return {"digest": kinds.hide(seen.digest) if hidden else seen.digest, **access_of(seen)}


def write_cron(fields: Mapping[str, Any]) -> str:
    """The file of an entry. A percent sign would begin the command's input."""
    entry = f"{fields['schedule']} {fields['user']} {fields['command'].replace('%', chr(92) + '%')}"
    return "\n".join([*fields["environment"], entry]) + "\n"


def read_cron(text: str) -> dict[str, Any]:
    """The fields of such a file; what is more in it than one entry shows as part of its command."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    environment = [line for line in lines if "=" in line.split(" ")[0]]
    entries = [line for line in lines if line not in environment]
    first = entries[0] if entries else ""
    parts = first.split(maxsplit=2 if first.startswith("@") else 6)
    schedule, rest = (parts[:1], parts[1:]) if first.startswith("@") else (parts[:5], parts[5:])
    user, command = [*rest, "", ""][:2]
    return {
        "schedule": " ".join(schedule),
        "user": user,
        "command": "\n".join([command.replace("\\%", "%"), *entries[1:]]),
        "environment": environment,
    }


def _sudoers(rid: resource.ResourceId) -> str:
    return f"/etc/sudoers.d/{rid.name}"


def _cron(rid: resource.ResourceId) -> str:
    return f"/etc/cron.d/{rid.name}"
