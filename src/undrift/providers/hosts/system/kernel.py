"""Parameters and modules of the kernel: as they are now, and in the files that are read when the machine starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, transport
from undrift.providers.hosts.system import facility

_ACCESS: Final = transport.Attributes(0o644)
_HEAD: Final = "# Kept by Undrift.\n"
_BEFORE: Final = "before"
_PARAMETERS: Final = r"""
for path do
  [ -r "/proc/sys/$path" ] || continue
  printf '%s\t' "$path"
  tr '\n\t' '  ' <"/proc/sys/$path" || exit 1
  echo
done
"""
_MODULES: Final = r"""
for module do
  [ ! -d "/sys/module/$module" ] || echo "$module"
done
"""


class Parameters(facility.Facility):
    """Parameters of the kernel. One exists here once its file does: the kernel itself always has a value."""

    serves = (kinds.SYSCTL,)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {_parameter_file(rid): transport.Need.CONTENT for rid in ids}

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question(_PARAMETERS, tuple(sorted(_path(rid.name) for rid in ids)))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        now = {
            path: clean(value) for path, _, value in (line.partition("\t") for line in told.lines("sysctl"))
        }
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            text = told.text(_parameter_file(rid))
            if text is not None:
                fields = {"value": now.get(_path(rid.name), ""), "atBoot": _assigned(text, rid.name)}
                known[rid] = facility.Known(fields)
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`. The value that was there before is kept for the day it is no longer declared."""
        rid, value = order.wanted.id, str(kinds.reveal(order.wanted.fields["value"]))
        kept: dict[str, Any] = {}
        if order.live is None:
            before = await facility.run(host, ["sysctl", "-n", "--", rid.name], f"reading {rid.name}")
            kept = {_BEFORE: clean(before)}
        await _set(host, rid.name, value)
        content = f"{_HEAD}{rid.name} = {value}\n".encode()
        await host.change([transport.Write(_parameter_file(rid), content, _ACCESS, replace=True)])
        return kept

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`."""
        await host.change([transport.Remove(_parameter_file(gone.id), transport.Sort.FILE)])
        before = gone.notes.get(_BEFORE)
        if before is not None and gone.fields.get("value") != before:
            await _set(host, gone.id.name, str(before))


class Modules(facility.Facility):
    """Modules of the kernel. One that is no longer declared stays loaded until the machine starts again."""

    serves = (kinds.MODULE,)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        return {path: transport.Need.CONTENT for rid in ids for path in _module_files(rid)}

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question(_MODULES, tuple(sorted(rid.name.replace("-", "_") for rid in ids)))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        loaded = set(told.lines("kernel modules"))
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            listed, options = (told.text(path) for path in _module_files(rid))
            if listed is not None:
                prefix = f"options {rid.name} "
                lines = [
                    line.removeprefix(prefix)
                    for line in (options or "").splitlines()
                    if line.startswith(prefix)
                ]
                known[rid] = facility.Known(
                    {
                        "loaded": rid.name.replace("-", "_") in loaded,
                        "atBoot": rid.name in listed.split("\n"),
                        "options": " ".join(lines),
                    }
                )
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`. Options count from the next time the module is loaded."""
        rid, options = order.wanted.id, order.wanted.fields["options"]
        listed, optioned = _module_files(rid)
        steps: list[transport.Step] = [
            transport.Write(listed, f"{_HEAD}{rid.name}\n".encode(), _ACCESS, replace=True),
            transport.Write(
                optioned, f"{_HEAD}options {rid.name} {options}\n".encode(), _ACCESS, replace=True
            )
            if options
            else transport.Remove(optioned, transport.Sort.FILE),
        ]
        loaded = bool(order.live and order.live.get("loaded")) or await self._is_loaded(host, rid)
        if not loaded:
            await facility.run(host, ["modprobe", "--", rid.name], f"loading the module {rid.name}")
        await host.change(steps)
        return facility.NOTHING

    async def _is_loaded(self, host: transport.Transport, rid: resource.ResourceId) -> bool:
        """A module that is built in cannot be loaded, and need not be."""
        question = self.question([rid])
        _, (done,) = await host.survey({}, [question] if question is not None else [])
        return bool(facility.Told({}, done).lines("kernel modules"))

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`."""
        await host.change([transport.Remove(path, transport.Sort.FILE) for path in _module_files(gone.id)])


def clean(value: str) -> str:
    """A value as it is compared: its words with one space between them, as the kernel separates them by tabs."""
    return " ".join(value.split())


def _path(name: str) -> str:
    """Where a parameter is below /proc/sys: dots and slashes change places, as sysctl(8) has it."""
    first = min((name.find(sign) for sign in "./" if sign in name), default=-1)
    return name if first < 0 or name[first] == "/" else name.translate(str.maketrans("./", "/."))


def _parameter_file(rid: resource.ResourceId) -> str:
    return f"/etc/sysctl.d/90-undrift-{rid.name.replace('/', ',')}.conf"


def _module_files(rid: resource.ResourceId) -> tuple[str, str]:
    name = f"undrift-{rid.name}.conf"
    return (f"/etc/modules-load.d/{name}", f"/etc/modprobe.d/{name}")


def _assigned(text: str, name: str) -> str:
    """The value that a file gives a parameter."""
    found = [line.partition("=") for line in text.splitlines() if not line.startswith(("#", ";"))]
    return next((clean(value) for key, _, value in reversed(found) if key.strip() == name), "")


async def _set(host: transport.Transport, name: str, value: str) -> None:
    done = await facility.attempt(host, ["sysctl", "-q", "-w", "--", f"{name}={value}"])
    if done.returncode or b"sysctl: " in done.stderr:
        said = facility.refusal(f"setting {name}", done)
        raise said if done.returncode else errors.ChangeRefused(f"setting {name} failed", why=said.why)
