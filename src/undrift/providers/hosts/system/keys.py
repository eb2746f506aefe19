"""Keys that let somebody in: a user's `~/.ssh/authorized_keys`, whole, or a block of ours in it.

sshd reads the file of a user only where nobody else may write it; it is written as that user's own, mode 0600.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import blocks, kinds, transport
from undrift.providers.hosts.system import facility

_BLOCK: Final = "keys"
_KEYS: Final = r"""
for user do
  line=$(getent passwd "$user")
  case $? in 0) ;; 2) continue ;; *) echo "getent passwd $user failed" >&2; exit 1 ;; esac
  home=$(printf '%s' "$line" | cut -d: -f6)
  printf 'user\t%s\t%s\t%s\n' "$user" "$home" "$(id -gn "$user")"
  [ ! -L "$home/.ssh" ] || printf 'link\n'
  [ ! -d "$home/.ssh" ] || printf 'folder\n'
  file=$home/.ssh/authorized_keys
  [ -f "$file" ] || continue
  printf 'file\t%s\n' "$(stat -c '%a %U %G' "$file")"
  sed 's/^/=/' "$file" || exit 1
done
"""


class AuthorizedKeys(facility.Facility):
    """The keys of users."""

    serves = (kinds.KEYS,)

    async def ways_in(
        self, host: transport.Transport, rid: resource.ResourceId, user: str
    ) -> tuple[str, ...]:
        """See `facility.Facility`."""
        place = await self._place(host, rid) if user_of(rid) == user else None
        return () if place is None else (place.path,)

    def question(self, ids: Collection[resource.ResourceId]) -> transport.Question | None:
        """See `facility.Facility`."""
        return transport.Question(_KEYS, tuple(sorted({user_of(rid) for rid in ids})))

    def answer(
        self, ids: Collection[resource.ResourceId], told: facility.Told
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """See `facility.Facility`."""
        found = {place.user: place for place in _places(told.lines("authorized keys"))}
        known: dict[resource.ResourceId, facility.Known] = {}
        for rid in ids:
            place = found.get(user_of(rid))
            fields = place.fields(whole=is_whole(rid)) if place is not None else None
            if fields is not None:
                known[rid] = facility.Known(fields)
        return known

    async def put(self, host: transport.Transport, order: facility.Order) -> facility.Notes:
        """See `facility.Facility`."""
        rid = order.wanted.id
        place = await self._place(host, rid)
        if place is None:
            raise errors.ChangeRefused(
                f"there is no user {user_of(rid)}", hint="declare it, or let the keys depend on what makes it"
            )
        lines = "".join(f"{key}\n" for key in kinds.reveal(order.wanted.fields["keys"]))
        text = lines if is_whole(rid) else blocks.put(place.text, _BLOCK, lines, "#")
        await host.change(place.steps(text))
        return facility.NOTHING

    async def remove(self, host: transport.Transport, gone: facility.Leave) -> None:
        """See `facility.Facility`. Whole: nobody gets in by a key any more; else the others' keys stay."""
        place = await self._place(host, gone.id)
        if place is None or place.access is None:
            return
        if is_whole(gone.id):
            await host.change([transport.Remove(place.path, transport.Sort.FILE)])
        else:
            await host.change(place.steps(blocks.take(place.text, _BLOCK)))

    async def _place(self, host: transport.Transport, rid: resource.ResourceId) -> _Place | None:
        question = self.question([rid])
        _, (done,) = await host.survey({}, [question] if question is not None else [])
        return next(_places(facility.Told({}, done).lines("authorized keys")), None)


def key_id(user: str, *, whole: bool) -> resource.ResourceId:
    """The id of a user's keys: a file that is wholly ours is another thing than a part of it."""
    return resource.ResourceId.of(kinds.KEYS, user if whole else f"{user}#{_BLOCK}")


def user_of(rid: resource.ResourceId) -> str:
    """Whose keys."""
    return rid.name.partition("#")[0]


def is_whole(rid: resource.ResourceId) -> bool:
    """Whether the file is wholly ours."""
    return "#" not in rid.name


class _Place:
    """A user's file of keys as it is; `access` is its mode, owner and group (None: there is no file)."""

    def __init__(self, user: str, home: str, group: str) -> None:
        self.user, self.home, self.group = user, home, group
        self.linked, self.folder = False, False
        self.access: tuple[str, str, str] | None = None
        self.text = ""

    @property
    def path(self) -> str:
        return posixpath.join(self.home, ".ssh/authorized_keys")

    def fields(self, *, whole: bool) -> dict[str, Any] | None:
        if self.access is None:
            return None
        text = self.text
        if not whole:
            found = blocks.find(text, _BLOCK)
            if found is None:
                return None
            text = found.lines
        mode, owner, _ = self.access
        return {"keys": [line for line in text.splitlines() if line.strip()], "mode": mode, "owner": owner}

    def steps(self, text: str) -> list[transport.Step]:
        """Where `.ssh` is a link of the user's own making, root would write wherever it leads."""
        if self.linked:
            raise errors.ChangeRefused(
                f"{posixpath.dirname(self.path)} is a link and is not followed", hint="make it a folder"
            )
        steps: list[transport.Step] = []
        if not self.folder:
            own = transport.Attributes(0o700, self.user, self.group)
            steps.append(transport.MakeDirectory(posixpath.dirname(self.path), own))
        access = transport.Attributes(0o600, self.user, self.group)
        content = text.encode("utf-8", "surrogateescape")
        return [*steps, transport.Write(self.path, content, access, replace=True)]


def _places(lines: list[str]) -> Iterator[_Place]:
    place: _Place | None = None
    for line in lines:
        word, *rest = line.split("\t")
        if word == "user":
            if place is not None:
                yield place
            place = _Place(*rest)
        elif place is not None and line.startswith("="):
            place.text += f"{line[1:]}\n"
        elif place is not None and word == "file":
            mode, owner, group = rest[0].split(" ")
            place.access = (mode.zfill(4), owner, group)
        elif place is not None:
            place.linked |= word == "link"
            place.folder |= word == "folder"
    if place is not None:
        yield place
