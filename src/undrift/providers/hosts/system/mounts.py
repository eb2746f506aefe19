"""File systems that are mounted, and their lines in /etc/fstab (fstab(5)). Nothing is ever formatted, and no data removed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, transport
from undrift.providers.hosts.system import facility

_FSTAB: Final = "/etc/fstab"
_FIELDS: Final = ("device", "path", "type", "options", "dump", "fsck")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_SPACES: Final = {" ": "\\040", "\t": "\\011", "\\": "\\134"}
_WAIT: Final = 120.0


class Mounts(facility.Facility):
    """What is mounted. A mount exists here when it has a line in /etc/fstab or is mounted."""

    serves = (kinds.MOUNT,)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {_FSTAB: transport.Need.CONTENT}

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question("cat /proc/self/mountinfo")

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        mounted = {_plain(line.split(" ")[4]) for line in told.lines("mounts")}
        listed = {str(entry["path"]): entry for entry in map(entry_of, _lines(told)) if entry}
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            if rid.name in listed or rid.name in mounted:
                fields = {name: value for name, value in listed.get(rid.name, {}).items() if name != "path"}
                state = "mounted" if rid.name in mounted else "unmounted"
                known[rid] = facility.Known({**fields, "state": state})
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        path, wanted, live = order.wanted.id.name, order.wanted.fields, order.live or {}
        await self._list(host, path, _entry(path, wanted))
        on = live.get("state") == "mounted"
        exchanged = any(live.get(name) != wanted[name] for name in ("device", "type"))
        if on and (wanted["state"] == "unmounted" or exchanged):
            await _unmount(host, path)
            on = False
        if wanted["state"] == "mounted" and not on:
            await _make_folder(host, path)
            await facility.run(host, ["mount", path], f"mounting {path}", timeout=_WAIT)
        elif on and live.get("options") != wanted["options"]:
            await facility.run(host, ["mount", "-o", "remount", path], f"mounting {path} anew", timeout=_WAIT)
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`. The folder stays, and what is in it."""
        if gone.fields.get("state") == "mounted":
            await _unmount(host, gone.id.name)
        await self._list(host, gone.id.name, "")

    async def _list(self, host: transport.Transport, path: str, entry: str) -> None:
        """Put a line into /etc/fstab in the place of the one for `path`; "" takes it out."""
        seen = (await host.look({_FSTAB: transport.Need.CONTENT})).get(_FSTAB)
        before = _lines(facility.Told({} if seen is None else {_FSTAB: seen}))
        after: list[str] = []
        for line in before:
            if (entry_of(line) or {}).get("path") != path:
                after.append(line)
            elif entry:
                after.append(entry)
                entry = ""
        after += [entry] if entry else []
        if after != before:
            access = transport.Attributes(0o644 if seen is None else seen.mode)
            content = "".join(f"{line}\n" for line in after).encode("utf-8", "surrogateescape")
            await host.change([transport.Write(_FSTAB, content, access, replace=seen is not None)])
            if await _has_systemd(host):
                await facility.run(host, ["systemctl", "daemon-reload"], "telling systemd of /etc/fstab")


def entry_of(line: str) -> dict[str, Any] | None:
    """The fields of a line of fstab; None for a comment."""
    parts = line.split()
    if len(parts) < 3 or line.lstrip().startswith("#"):  # noqa: PLR2004 - fstab(5): device, path, type
        return None
    values: dict[str, Any] = dict(
        zip(_FIELDS, map(_plain, [*parts, "defaults"][: len(_FIELDS)]), strict=False)
    )
    if len(parts) == 3:  # noqa: PLR2004 - as before
        values["options"] = "defaults"
    for name, place in (("dump", 4), ("fsck", 5)):
        values[name] = int(parts[place]) if len(parts) > place and parts[place].isdigit() else 0
    return values


def _entry(path: str, wanted: resource.Fields) -> str:
    parts = (wanted["device"], path, wanted["type"], wanted["options"], wanted["dump"], wanted["fsck"])
    return " ".join(_quoted(str(kinds.reveal(part))) for part in parts)


def _quoted(text: str) -> str:
    return "".join(_SPACES.get(sign, sign) for sign in text)


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def _lines(told: facility.Told) -> Sequence[str]:
    return (told.text(_FSTAB) or "").splitlines()


async def _unmount(host: transport.Transport, path: str) -> None:
    done = await facility.attempt(host, ["umount", path], timeout=_WAIT)
    if done.returncode and b"busy" in done.stderr:
        raise errors.ChangeRefused(
            f"{path} is in use and stays mounted",
            why=facility.tail(done.stderr),
            hint="end what uses it (fuser -vm), then it is unmounted",
        )
    if done.returncode and b"not mounted" not in done.stderr:
        raise facility.refusal(f"unmounting {path}", done)


async def _make_folder(host: transport.Transport, path: str) -> None:
    if path not in await host.look({path: transport.Need.NOTHING}):
        await host.change([transport.MakeDirectory(path, transport.Attributes(0o755))])


async def _has_systemd(host: transport.Transport) -> bool:
    """Whether systemd runs the machine: it makes units of the lines of fstab."""
    return "/run/systemd/system" in await host.look({"/run/systemd/system": transport.Need.NOTHING})
