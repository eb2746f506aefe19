"""What there is one of on every machine: its name and its time zone. They are set, and never taken away."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, transport
from undrift.providers.hosts.system import facility

NAME: Final = "this"
"""The name of the resource: there is only one."""
_HOSTNAME: Final = "/etc/hostname"
_LOCALTIME: Final = "/etc/localtime"
_TIMEZONE: Final = "/etc/timezone"
_ZONES: Final = "/usr/share/zoneinfo/"
_ACCESS: Final = transport.Attributes(0o644)


class Hostname(facility.Facility):
    """The name of the machine: what it is called now, and when it starts."""

    serves = (kinds.HOSTNAME,)
    ever = frozenset(serves)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {_HOSTNAME: transport.Need.CONTENT}

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question("uname -n")

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        now = "".join(told.lines("the host name"))
        fields = {"name": now, "atBoot": (told.text(_HOSTNAME) or "").strip()}
        return {rid: facility.Known(fields) for rid in ids}

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        name = str(order.wanted.fields["name"])
        await facility.run(host, ["hostname", name], "setting the host name")
        await host.change([transport.Write(_HOSTNAME, f"{name}\n".encode(), _ACCESS, replace=True)])
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`: it stays as it is."""


class TimeZone(facility.Facility):
    """The time zone of the machine."""

    serves = (kinds.TIME_ZONE,)
    ever = frozenset(serves)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {_LOCALTIME: transport.Need.NOTHING}

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`. A machine without the link is on UTC (localtime(5))."""
        seen = told.seen.get(_LOCALTIME)
        name = (
            "Etc/UTC" if seen is None else seen.points_to.partition("zoneinfo/")[2] or "(a file of its own)"
        )
        return {rid: facility.Known({"name": name}) for rid in ids}

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        name = str(order.wanted.fields["name"])
        zone = _ZONES + name
        seen = await host.look({zone: transport.Need.NOTHING, _TIMEZONE: transport.Need.NOTHING})
        if zone not in seen or seen[zone].sort is transport.Sort.DIRECTORY:
            raise errors.ChangeRefused(
                f"the machine knows no time zone {name}",
                hint="correct its name, or install the package tzdata",
            )
        steps: list[transport.Step] = [transport.MakeLink(_LOCALTIME, zone, replace=True)]
        if _TIMEZONE in seen:
            steps.append(transport.Write(_TIMEZONE, f"{name}\n".encode(), _ACCESS, replace=True))
        await host.change(steps)
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`: it stays as it is."""
