"""Manifest entries about the machine itself → resources."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import content, documents, kinds, loading, trees
from undrift.providers.hosts.system import (
    declaration,
    firewall,
    keys,
    lines,
    naming,
    packages,
    repositories,
    units,
)

_Reader = Callable[[loading.Reading, Any, errors.Origin], None]
_TEXTS: Final = "utf-8"


def add_package(reading: loading.Reading, item: declaration.Package, origin: errors.Origin) -> None:
    """A package. Declared by nothing but its name, one that is there already is taken over unasked: nothing changes."""
    fields: dict[str, Any] = {"state": item.state}
    fields |= {name: value for name in ("version", "hold") if (value := getattr(item, name)) is not None}
    alone = item.state == packages.PRESENT and fields.keys() == {"state"}
    settings = {"recommends": item.recommends, "purge": item.purge, "lock_timeout": item.lock_timeout}
    asked = item.model_copy(update={"adopt": item.adopt or alone})
    _add(reading, asked, _one(kinds.PACKAGE, item.name, fields, origin, settings))


def add_repository(reading: loading.Reading, item: declaration.Repository, origin: errors.Origin) -> None:
    """A repository with its key."""
    key: content.Content | None = None
    if item.key is not None:
        key = reading.draft.library.read(item.key)
    elif item.key_content is not None:
        key = content.Content(item.key_content.encode())
    fields: dict[str, Any] = {"trusted": item.trusted, "enabled": item.enabled, "edited": False}
    if item.base_url is not None:
        fields["baseUrl"] = reading.fill(item.base_url, origin)
    else:
        for name in ("types", "uris", "suites", "components", "architectures"):
            fields[name] = [reading.fill(each, origin) for each in getattr(item, name)]
    fields["key"] = repositories.key_digest(None if key is None else key.raw)
    settings = {} if key is None else {"content": key.guarded}
    _add(reading, item, _one(kinds.REPOSITORY, item.name, fields, origin, settings))


def add_group(reading: loading.Reading, item: declaration.Group, origin: errors.Origin) -> None:
    """A group."""
    fields = {} if item.gid is None else {"gid": item.gid}
    _add(reading, item, _one(kinds.GROUP, item.name, fields, origin, {"system": item.system}))


def add_user(reading: loading.Reading, item: declaration.User, origin: errors.Origin) -> None:
    """A user, after the groups it is in."""
    fields: dict[str, Any] = {
        name: value
        for name in ("uid", "group", "home", "shell", "comment", "locked")
        if (value := getattr(item, name)) is not None
    }
    if item.groups is not None:
        fields["groups"] = sorted(set(item.groups) - {item.group})
    if item.password is not None:
        if not reading.hidden:
            raise errors.ResourceInvalid(
                f"the password of {item.name} stands in a file that is not encrypted",
                origin=origin,
                hint="encrypt the manifest with SOPS, or let the user come in by a key",
            )
        fields["password"] = kinds.hide(item.password)
    settings = {"system": item.system, "create_home": item.create_home}
    rid = _add(reading, item, _one(kinds.USER, item.name, fields, origin, settings))
    own = [item.group] if item.group else [item.name]
    _need(reading, rid, *(resource.ResourceId.of(kinds.GROUP, name) for name in (*own, *(item.groups or ()))))


def add_keys(reading: loading.Reading, item: declaration.AuthorizedKeys, origin: errors.Origin) -> None:
    """Keys that let somebody in."""
    fields = {"keys": list(dict.fromkeys(item.keys)), "mode": "0600", "owner": item.user}
    rid = keys.key_id(item.user, whole=item.whole)
    _add(reading, item, _one(kinds.KEYS, rid.name, fields, origin))
    _need(reading, rid, resource.ResourceId.of(kinds.USER, item.user))


def add_sudoers(reading: loading.Reading, item: declaration.Sudoers, origin: errors.Origin) -> None:
    """A file of sudo."""
    filled = reading.draft.library.fill(item, reading.variables, origin, hidden=reading.hidden)
    fields = {"digest": trees.digest_of(filled), "mode": "0440", "owner": "root", "group": "root"}
    rid = _add(reading, item, _one(kinds.SUDOERS, item.name, fields, origin, {"content": filled.guarded}))
    _need(reading, rid, resource.ResourceId.of(kinds.PACKAGE, "sudo"))


def add_unit(reading: loading.Reading, item: declaration.Unit, origin: errors.Origin) -> None:
    """A unit of systemd."""
    _need_systemd(reading, item.name, origin)
    fields: dict[str, Any] = {
        name: value for name in ("enabled", "state") if (value := getattr(item, name)) is not None
    }
    settings: dict[str, Any] = {"restart_on": item.restart_on, "reload_on": (), "check": item.check}
    if item.source or item.content is not None or item.template:
        filled = reading.draft.library.fill(_filled(item), reading.variables, origin, hidden=reading.hidden)
        fields["digest"] = trees.digest_of(filled)
        settings["content"] = filled.guarded
    if item.restart_on:
        fields["trigger"] = ""
    _add(reading, item, _one(kinds.UNIT, item.name, fields, origin, settings))


def add_drop_in(reading: loading.Reading, item: declaration.DropIn, origin: errors.Origin) -> None:
    """What is added to a unit."""
    _need_systemd(reading, item.unit, origin)
    filled = reading.draft.library.fill(item, reading.variables, origin, hidden=reading.hidden)
    fields = {
        "digest": trees.digest_of(filled),
        "mode": "0644",
        "owner": "root",
        "group": "root",
        "loaded": True,
    }
    rid = units.drop_in_id(item.unit, item.name)
    settings = {"content": filled.guarded, "restart": item.restart}
    _add(reading, item, _one(kinds.DROP_IN, rid.name, fields, origin, settings))


def add_sysctl(reading: loading.Reading, item: declaration.Sysctl, origin: errors.Origin) -> None:
    """A parameter of the kernel."""
    value = " ".join(reading.fill(item.value, origin).split())
    _add(reading, item, _one(kinds.SYSCTL, item.name, {"value": value, "atBoot": value}, origin))
    modules = (rid for rid in reading.draft.found if rid.kind == kinds.MODULE)
    _need(reading, resource.ResourceId.of(kinds.SYSCTL, item.name), *modules)


def add_module(reading: loading.Reading, item: declaration.KernelModule, origin: errors.Origin) -> None:
    """A module of the kernel."""
    fields = {"loaded": True, "atBoot": True, "options": item.options or ""}
    _add(reading, item, _one(kinds.MODULE, item.name, fields, origin))


def add_mount(reading: loading.Reading, item: declaration.Mount, origin: errors.Origin) -> None:
    """A file system."""
    fields = {
        "device": reading.fill(item.device, origin),
        "type": item.type,
        "options": item.options,
        "dump": item.dump,
        "fsck": item.fsck,
        "state": item.state,
    }
    _add(reading, item, _one(kinds.MOUNT, item.path, fields, origin))


def add_cron(reading: loading.Reading, item: declaration.Cron, origin: errors.Origin) -> None:
    """An entry of cron."""
    fields: dict[str, Any] = {
        "schedule": item.schedule,
        "user": item.user,
        "command": reading.fill(item.command, origin),
        "environment": [
            f"{name}={reading.fill(value, origin)}" for name, value in sorted(item.environment.items())
        ],
    }
    if any("\n" in each for each in (fields["command"], *fields["environment"])):
        raise errors.ResourceInvalid(f"the entry {item.name} is more than a line", origin=origin)
    fields = {name: kinds.hide(value) for name, value in fields.items()} if reading.hidden else fields
    mode = "0600" if reading.hidden else "0644"
    _add(
        reading,
        item,
        _one(kinds.CRON, item.name, {**fields, "mode": mode, "owner": "root", "group": "root"}, origin),
    )
    rid = resource.ResourceId.of(kinds.CRON, item.name)
    _need(
        reading,
        rid,
        *(resource.ResourceId.of(kinds.USER, item.user), resource.ResourceId.of(kinds.PACKAGE, "cron")),
    )


def add_firewall(reading: loading.Reading, item: declaration.Firewall, origin: errors.Origin) -> None:
    """A table of nftables."""
    filled = reading.draft.library.fill(item, reading.variables, origin, hidden=reading.hidden)
    body = firewall.plain(filled.raw.decode(_TEXTS, "surrogateescape"))
    trimmed = content.Content(body, filled.hidden)
    fields: dict[str, Any] = {"digest": trees.digest_of(trimmed), "loaded": firewall.LOADED}
    if reading.variables["facts"].get("systemd"):
        fields["atBoot"] = True
    name = item.name if item.family == "inet" else f"{item.family}/{item.name}"
    settings = {"content": trimmed.guarded, "confirm": item.confirm}
    rid = _add(reading, item, _one(kinds.FIREWALL, name, fields, origin, settings))
    _need(reading, rid, resource.ResourceId.of(kinds.PACKAGE, "nftables"))


def add_line(reading: loading.Reading, item: declaration.LineEdit, origin: errors.Origin) -> None:
    """A line in somebody else's file."""
    line = "" if item.line is None else reading.fill(item.line, origin)
    if "\n" in line:
        raise errors.ResourceInvalid(f"the line {item.name} is more than a line", origin=origin)
    match = item.match or lines.exactly(line)
    rid = kinds.line_id(item.path, item.name)
    fields = {"line": line, "match": match}
    reading.draft.add(resource.Resource(rid, fields, origin, settings={"check": item.check}), item)


def add_download(reading: loading.Reading, item: declaration.Download, origin: errors.Origin) -> None:
    """A file that the host fetches."""
    fields: dict[str, Any] = {"digest": f"sha256:{item.sha256}", "mode": trees.spell_mode(item.mode or 0o644)}
    fields |= {name: value for name in ("owner", "group") if (value := getattr(item, name)) is not None}
    rid = resource.ResourceId.of(kinds.FILE, item.path)
    settings = {"url": reading.fill(item.url, origin)}
    reading.draft.add(resource.Resource(rid, fields, origin, settings=settings), item)


def add_hostname(reading: loading.Reading, name: str, origin: errors.Origin) -> None:
    """The name of the machine."""
    _add(reading, documents.Item(), _one(kinds.HOSTNAME, naming.NAME, {"name": name, "atBoot": name}, origin))


def add_time_zone(reading: loading.Reading, name: str, origin: errors.Origin) -> None:
    """The time zone of the machine."""
    _add(reading, documents.Item(), _one(kinds.TIME_ZONE, naming.NAME, {"name": name}, origin))


READERS: Final[Mapping[str, _Reader]] = {
    "hostname": add_hostname,
    "time_zone": add_time_zone,
    "repositories": add_repository,
    "packages": add_package,
    "kernel_modules": add_module,
    "sysctl": add_sysctl,
    "groups": add_group,
    "users": add_user,
    "mounts": add_mount,
    "downloads": add_download,
    "lines": add_line,
    "authorized_keys": add_keys,
    "sudoers": add_sudoers,
    "cron": add_cron,
    "drop_ins": add_drop_in,
    "firewall": add_firewall,
    "units": add_unit,
}
"""How each list is read, in the order of what needs what."""


def connect(draft: loading.Draft) -> None:
    """Edges that everybody expects: packages after repositories, what lies on a mount after it, files after their owners."""
    repositories_of = tuple(rid for rid in draft.found if rid.kind == kinds.REPOSITORY)
    mounted = {rid.name: rid for rid in draft.found if rid.kind == kinds.MOUNT}
    for rid, one in list(draft.found.items()):
        needs: list[resource.ResourceId] = []
        if rid.kind == kinds.PACKAGE:
            needs += repositories_of
        path = kinds.path_of(rid) or (posixpath.dirname(rid.name) if rid.kind == kinds.MOUNT else "")
        if path and mounted:
            needs += _around(path, mounted)
        if rid.kind == kinds.LINE:
            needs += (each for each in _files(path) if each in draft.found)
        for name, kind in (("owner", kinds.USER), ("group", kinds.GROUP)):
            owner = resource.ResourceId.of(kind, str(one.fields.get(name, "")))
            if path and owner in draft.found:
                needs.append(owner)
        if needs:
            edges = dict.fromkeys((*one.depends_on, *needs))
            draft.found[rid] = dataclasses.replace(one, depends_on=tuple(edges))


def _around(path: str, mounted: Mapping[str, resource.ResourceId]) -> list[resource.ResourceId]:
    """The mount that a path lies on."""
    folder = path
    while folder != "/":
        if folder in mounted:
            return [mounted[folder]]
        folder = posixpath.dirname(folder)
    return []


def _files(path: str) -> list[resource.ResourceId]:
    return [resource.ResourceId.of(kind, path) for kind in (kinds.FILE, kinds.LINK)]


def _one(
    kind: str,
    name: str,
    fields: Mapping[str, Any],
    origin: errors.Origin,
    settings: Mapping[str, Any] | None = None,
) -> resource.Resource:
    return resource.Resource(
        resource.ResourceId.of(kind, name), dict(fields), origin, settings=settings or {}
    )


def _add(reading: loading.Reading, item: documents.Item, one: resource.Resource) -> resource.ResourceId:
    """Take in what belongs to the whole machine."""
    if reading.draft.place.root != "/":
        raise errors.ResourceInvalid(
            f"{one.id} cannot be declared here",
            origin=one.origin,
            why=f"the target's root is {reading.draft.place.root}, and this belongs to the whole machine",
            hint="use a Target with root: /",
        )
    reading.draft.add(one, item)
    return one.id


def _need(reading: loading.Reading, rid: resource.ResourceId, *needs: resource.ResourceId) -> None:
    """An edge to each that is declared (those that come before in `READERS` are known by now)."""
    one = reading.draft.found[rid]
    known = tuple(need for need in dict.fromkeys(needs) if need in reading.draft.found and need != rid)
    if known:
        edges = dict.fromkeys((*one.depends_on, *known))
        reading.draft.found[rid] = dataclasses.replace(one, depends_on=tuple(edges))


def _need_systemd(reading: loading.Reading, name: str, origin: errors.Origin) -> None:
    if not reading.variables["facts"].get("systemd"):
        raise errors.ResourceInvalid(
            f"{name} cannot be declared here", origin=origin, why="the machine is not run by systemd"
        )


def _filled(item: declaration.Unit) -> documents.Filled:
    given = {name: getattr(item, name) for name in ("source", "content", "template")}
    return documents.Filled(**{name: value for name, value in given.items() if value is not None})
