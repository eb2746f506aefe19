"""Users and groups, as the machine's own tools tell and change them (getent, useradd and their like).

What is removed leaves its data: a user's home stays where it is. `password` is a hash as in shadow(5) and always a
secret; `locked` is whether a password lets nobody in (keys may).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, transport
from undrift.providers.hosts.system import facility

_USERS: Final = r"""
for user do
  line=$(getent passwd "$user")
  case $? in 0) ;; 2) continue ;; *) echo "getent passwd $user failed" >&2; exit 1 ;; esac
  printf 'user\t%s\n' "$line"
  printf 'group\t%s\n' "$(id -gn "$user")"
  printf 'groups\t%s\n' "$(id -Gn "$user")"
  printf 'shadow\t%s\n' "$(getent shadow "$user")"
done
"""
_GROUPS: Final = r"""
for group do
  line=$(getent group "$group")
  case $? in 0) printf '%s\n' "$line" ;; 2) ;; *) echo "getent group $group failed" >&2; exit 1 ;; esac
done
"""
_LOGGED_IN: Final = 8
_LISTS: Final = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow")


class Users(facility.Facility):
    """The users of a machine."""

    serves = (kinds.USER,)

    async def ways_in(
        self, host: transport.Transport, rid: resource.ResourceId, user: str
    ) -> tuple[str, ...]:
        """See `facility.Facility`."""
        return _LISTS if rid.name == user else ()

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question(_USERS, tuple(sorted(rid.name for rid in ids)))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        found = dict(_users(told.lines("users")))
        return {rid: facility.Known(found[rid.name]) for rid in ids if rid.name in found}

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        name, wanted = order.wanted.id.name, order.wanted.fields
        if order.live is None:
            settings = order.wanted.settings
            flags = [*(["--system"] if settings.get("system") else []), *_home(settings)]
            await facility.run(
                host, ["useradd", *flags, *_flags(wanted, {}), name], f"adding the user {name}"
            )
            await self._secrets(host, name, wanted, {})
            return facility.NOTHING
        flags = _flags(wanted, order.live)
        if flags:
            await facility.run(host, ["usermod", *flags, name], f"changing the user {name}")
        await self._secrets(host, name, wanted, order.live)
        return facility.NOTHING

    async def _secrets(
        self, host: transport.Transport, name: str, wanted: resource.Fields, live: resource.Fields
    ) -> None:
        """The password's hash goes in by a file that only root can read: arguments are seen by everybody."""
        if "password" in wanted and wanted["password"] != live.get("password"):
            await _set_password(host, name, str(kinds.reveal(wanted["password"])))
        if "locked" in wanted and wanted["locked"] != live.get("locked"):
            flag = "--lock" if wanted["locked"] else "--unlock"
            if not wanted["locked"] and "password" not in wanted and not live:
                raise errors.ChangeRefused(
                    f"the user {name} is new and has no password that could let it in",
                    hint="declare a password, or leave locked out: keys let in all the same",
                )
            await facility.run(host, ["usermod", flag, name], f"changing the user {name}")

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`. The home stays, with all that is in it."""
        name = gone.id.name
        done = await facility.attempt(host, ["userdel", name])
        if done.returncode == _LOGGED_IN:
            raise errors.ChangeRefused(
                f"the user {name} is at work and stays",
                why=facility.tail(done.stderr),
                hint="end what runs as that user; then it is removed",
            )
        if done.returncode and b"does not exist" not in done.stderr:
            raise facility.refusal(f"removing the user {name}", done)


class Groups(facility.Facility):
    """The groups of a machine."""

    serves = (kinds.GROUP,)

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question(_GROUPS, tuple(sorted(rid.name for rid in ids)))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        parts = [line.split(":") for line in told.lines("groups")]
        found = {part[0]: {"gid": int(part[2])} for part in parts if len(part) > 3}  # noqa: PLR2004 - group(5)
        return {rid: facility.Known(found[rid.name]) for rid in ids if rid.name in found}

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        name, gid = order.wanted.id.name, order.wanted.fields.get("gid")
        number = [] if gid is None else ["--gid", str(gid)]
        if order.live is None:
            system = ["--system"] if order.wanted.settings.get("system") else []
            await facility.run(host, ["groupadd", *system, *number, name], f"adding the group {name}")
        elif number and gid != order.live.get("gid"):
            await facility.run(host, ["groupmod", *number, name], f"changing the group {name}")
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`. One that is some user's own is refused."""
        done = await facility.attempt(host, ["groupdel", gone.id.name])
        if done.returncode and b"does not exist" not in done.stderr:
            raise facility.refusal(f"removing the group {gone.id.name}", done)


def _users(lines: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each user and its fields, from what `_USERS` writes: four lines for one."""
    parts = [line.partition("\t")[::2] for line in lines]
    for index, (word, value) in enumerate(parts):
        if word == "user":
            about = dict(parts[index + 1 : index + 4])
            yield value.split(":")[0], _user(value, about)


def _user(line: str, about: Mapping[str, str]) -> dict[str, Any]:
    _, _, uid, _, comment, home, shell = line.split(":")
    primary = about["group"]
    groups = sorted(set(about["groups"].split()) - {primary})
    fields: dict[str, Any] = {
        "uid": int(uid),
        "group": primary,
        "groups": groups,
        "home": home,
        "shell": shell,
        "comment": comment,
    }
    shadow = about.get("shadow", "").split(":")
    if len(shadow) > 1:
        fields["locked"] = shadow[1].startswith(("!", "*"))
        fields["password"] = kinds.hide(shadow[1].removeprefix("!"))
    return fields


_OPTIONS: Final = {
    "uid": "--uid",
    "group": "--gid",
    "groups": "--groups",
    "home": "--home-dir",
    "shell": "--shell",
    "comment": "--comment",
}


def _flags(wanted: resource.Fields, live: resource.Fields) -> list[str]:
    flags: list[str] = []
    for name, option in _OPTIONS.items():
        if name in wanted and wanted[name] != live.get(name, [] if name == "groups" else None):
            value = kinds.reveal(wanted[name])
            word = "--home" if live and name == "home" else option
            flags += [word, ",".join(value) if name == "groups" else str(value)]
    return flags


def _home(settings: Mapping[str, Any]) -> list[str]:
    made = settings.get("create_home")
    if made is None:
        made = not settings.get("system")
    return ["--create-home"] if made else ["--no-create-home"]


_CHPASSWD: Final = r"""
umask 077
file=$1; shift
trap 'rm -f "$file"' EXIT
chpasswd -e <"$file"
"""


async def _set_password(host: transport.Transport, name: str, hashed: str) -> None:
    path = f"/root/.{name}.undrift"
    content = f"{name}:{hashed}\n".encode()
    await host.change([transport.Write(path, content, transport.Attributes(0o600), replace=True)])
    await facility.run(host, ["/bin/sh", "-c", _CHPASSWD, "undrift", path], f"setting the password of {name}")
