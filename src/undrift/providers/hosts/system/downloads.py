"""Files that a host fetches itself (curl or wget), and that come to their place only with the digest that was declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, shaping, transport
from undrift.providers.hosts.system import facility

_LONGEST: Final = 270.0
_FETCH: Final = r"""
umask 077
url=$1 to=$2 digest=$3
trap 'rm -f "$to"' EXIT
if command -v curl >/dev/null; then
  curl -fsSL --retry 2 --connect-timeout 20 -o "$to" -- "$url" || exit 5
elif command -v wget >/dev/null; then
  wget -q -T 20 -O "$to" -- "$url" || exit 5
else
  echo "there is neither curl nor wget" >&2; exit 6
fi
found=$(sha256sum <"$to" | cut -d' ' -f1)
[ "$found" = "$digest" ] || { printf '%s\n' "$found" >&2; exit 7; }
trap - EXIT
"""
_AWAY, _NO_TOOL, _OTHER = 5, 6, 7
_PLACE: Final = r"""
mv -f -- "$1" "$2"
"""


async def fetch(
    host: transport.Transport, wanted: resource.Resource, real: Callable[[str], str], *, replace: bool
) -> list[str]:
    """Fetch, verify, and put in place with mode and owner; returns parent folders that were made.

    Raises `TargetUnavailable` where it cannot be fetched, `ChangeRefused` for another digest; then nothing changes.
    """
    path = wanted.id.name
    aside = transport.unfinished(path)
    made = await host.change([transport.Write(aside, b"", transport.Attributes(0o600), replace=True)])
    url, digest = str(wanted.settings["url"]), str(wanted.fields["digest"]).removeprefix("sha256:")
    command = ["/bin/sh", "-c", _FETCH, "undrift", url, real(aside), digest]
    done = await facility.attempt(host, command, timeout=_LONGEST)
    if done.returncode:
        raise _refused(wanted, done.returncode, facility.tail(done.stderr), digest)
    await host.change([transport.Alter(aside, shaping.attributes_of(wanted.fields))])
    if not replace and path in await host.look({path: transport.Need.NOTHING}):
        await host.change([transport.Remove(aside, transport.Sort.FILE)])
        raise errors.ChangeConflict(
            f"{wanted.id} was made by somebody else meanwhile", hint="it is planned anew"
        )
    command = ["/bin/sh", "-c", _PLACE, "undrift", real(aside), real(path)]
    await facility.run(host, command, f"putting {path} in place")
    return list(made)


def _refused(wanted: resource.Resource, code: int, why: str, digest: str) -> errors.TargetError:
    if code == _OTHER:
        return errors.ChangeRefused(
            f"{wanted.id} has another digest than was declared, and did not go live",
            origin=wanted.origin,
            why=f"declared: {digest}\nfetched:  {why}",
            hint="see what changed there before you declare the new digest",
        )
    if code == _NO_TOOL:
        return errors.ChangeRefused(
            f"{wanted.id} cannot be fetched", why=why, hint="declare the package curl"
        )
    return errors.TargetUnavailable(f"{wanted.id} cannot be fetched", why=why, hint="it is tried again")


def is_download(one: resource.Resource) -> bool:
    """Whether the host fetches its content."""
    return one.id.kind == kinds.FILE and "url" in one.settings
