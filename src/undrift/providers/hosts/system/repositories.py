"""Where packages come from: deb822 sources (sources.list(5)) with their keys for apt, `.repo` files for dnf.

A repository of apt is fetched from before it counts as made: one whose signature does not hold, or that is not there,
is taken back at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, local, shaping, transport
from undrift.providers.hosts.system import facility, packages

_ACCESS: Final = transport.Attributes(0o644)
_WORDS: Final = {
    "types": "Types",
    "uris": "URIs",
    "suites": "Suites",
    "components": "Components",
    "architectures": "Architectures",
}
_HEAD: Final = "# Kept by Undrift."


class Repositories(facility.Facility):
    """The repositories of a machine."""

    serves = (kinds.REPOSITORY,)

    def needs(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Need]:
        """See `facility.Facility`."""
        wanted: dict[str, transport.Need] = {}
        for rid in ids:
            wanted |= dict.fromkeys((_sources(rid), _yum(rid)), transport.Need.CONTENT)
            wanted |= dict.fromkeys((*_keyrings(rid), _rpm_key(rid)), transport.Need.DIGEST)
        return wanted

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            fields = self._fields(rid, told)
            if fields is not None:
                known[rid] = facility.Known(fields)
        return known

    def _fields(self, rid: resource.ResourceId, told: facility.Told) -> dict[str, Any] | None:
        text = told.text(_sources(rid))
        if text is not None:
            return {**read_sources(text), "key": _key(told, _keyrings(rid))}
        text = told.text(_yum(rid))
        return None if text is None else {**read_yum(text), "key": _key(told, (_rpm_key(rid),))}

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        rid, fields = order.wanted.id, order.wanted.fields
        key = shaping.content_of(order.wanted) if "content" in order.wanted.settings else None
        before = await host.look(dict.fromkeys(self.needs([rid]), transport.Need.CONTENT))
        if "baseUrl" in fields:
            steps = _steps(_yum(rid), write_yum(rid, fields), _rpm_key(rid), key)
            await host.change(steps)
            return facility.NOTHING
        armoured = key is None or b"BEGIN PGP" in key
        ring, other = _keyrings(rid) if armoured else _keyrings(rid)[::-1]
        text = write_sources(fields, ring if key is not None else "")
        stale: list[transport.Step] = [transport.Remove(other, transport.Sort.FILE)]
        await host.change([*_steps(_sources(rid), text, ring, key), *stale])
        if fields["enabled"]:
            try:
                await packages.refresh(host, _sources(rid))
            except errors.TargetError:
                await host.change(_back(self.needs([rid]), before))
                raise
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`. What was installed from it stays."""
        await host.change([transport.Remove(path, transport.Sort.FILE) for path in self.needs([gone.id])])


def _sources(rid: resource.ResourceId) -> str:
    return f"/etc/apt/sources.list.d/{rid.name}.sources"


def _keyrings(rid: resource.ResourceId) -> tuple[str, str]:
    return (f"/etc/apt/keyrings/{rid.name}.asc", f"/etc/apt/keyrings/{rid.name}.gpg")


def _yum(rid: resource.ResourceId) -> str:
    return f"/etc/yum.repos.d/{rid.name}.repo"


def _rpm_key(rid: resource.ResourceId) -> str:
    return f"/etc/pki/rpm-gpg/undrift-{rid.name}"


def _key(told: facility.Told, paths: Collection[str]) -> str:
    return next((told.seen[path].digest for path in paths if path in told.seen), "")


def key_digest(content: bytes | None) -> str:
    """The digest that a key is seen with; "" for none."""
    return "" if content is None else local.name_content(content)


def _steps(path: str, text: str, key_path: str, key: bytes | None) -> list[transport.Step]:
    steps: list[transport.Step] = []
    if key is not None:
        steps.append(transport.Write(key_path, key, _ACCESS, replace=True))
    content = text.encode("utf-8", "surrogateescape")
    return [*steps, transport.Write(path, content, _ACCESS, replace=True)]


def _back(paths: Collection[str], before: Mapping[str, transport.Seen]) -> list[transport.Step]:
    """The steps to what was there before."""
    steps: list[transport.Step] = []
    for path in paths:
        seen = before.get(path)
        if seen is None:
            steps.append(transport.Remove(path, transport.Sort.FILE))
        elif seen.content is not None:
            steps.append(transport.Write(path, seen.content, transport.Attributes(seen.mode), replace=True))
    return steps


def write_sources(fields: Mapping[str, Any], keyring: str) -> str:
    """A stanza of deb822."""
    lines = [_HEAD]
    for name, word in _WORDS.items():
        value = kinds.reveal(fields[name])
        if value:
            lines.append(f"{word}: {' '.join(value)}")
    if keyring:
        lines.append(f"Signed-By: {keyring}")
    if fields["trusted"]:
        lines.append("Trusted: yes")
    if not fields["enabled"]:
        lines.append("Enabled: no")
    return "\n".join(lines) + "\n"


def read_sources(text: str) -> dict[str, Any]:
    """The fields of a stanza; what we never write makes it another one (`edited`)."""
    found: dict[str, str] = {}
    known = {word.lower(): name for name, word in _WORDS.items()} | {
        "signed-by": "",
        "trusted": "",
        "enabled": "",
    }
    edited = False
    last = ""
    for line in text.strip().splitlines():
        if line.startswith("#"):
            continue
        word, colon, value = line.partition(":")
        if line[:1].isspace() and last:
            found[last] += f" {line.strip()}"
        elif colon and word.lower() in known and word.lower() not in found:
            last = word.lower()
            found[last] = value.strip()
        else:
            edited = True
    fields: dict[str, Any] = {name: found.get(word, "").split() for word, name in known.items() if name}
    fields["trusted"] = found.get("trusted", "no") == "yes"
    fields["enabled"] = found.get("enabled", "yes") != "no"
    return {**fields, "edited": edited}


def write_yum(rid: resource.ResourceId, fields: Mapping[str, Any]) -> str:
    """A file of dnf's (dnf.conf(5))."""
    checked = not fields["trusted"]
    lines = [
        f"[{rid.name}]",
        f"name={rid.name}",
        f"baseurl={kinds.reveal(fields['baseUrl'])}",
        f"enabled={int(fields['enabled'])}",
        f"gpgcheck={int(checked)}",
        *([f"gpgkey=file://{_rpm_key(rid)}"] if checked else []),
    ]
    return f"{_HEAD}\n" + "\n".join(lines) + "\n"


def read_yum(text: str) -> dict[str, Any]:
    """The fields of such a file."""
    found = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    return {
        "baseUrl": found.get("baseurl", ""),
        "trusted": found.get("gpgcheck") != "1",
        "enabled": found.get("enabled", "1") == "1",
        "edited": not {*found} <= {"name", "baseurl", "enabled", "gpgcheck", "gpgkey"},
    }
