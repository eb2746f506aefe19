"""Where a repository is on its forge, read from the URL that Git uses."""

from __future__ import annotations

import dataclasses
import re
from urllib import parse

from undrift import errors

_SHORT = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?!//)(?P<path>\S+)")
_BY_SSH = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "ssh.dev.azure.com": "dev.azure.com",
}
"""Hosts that are there for SSH only, and those they stand for."""
_SCHEMES = ("http", "https", "ssh", "git+ssh")


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """A repository of a forge. `root` is the forge's address for people (no slash at its end), `path` what follows.

    `https://forge.example` and `acme/shop`: without `.git`, without credentials.
    """

    root: str
    path: str

    @property
    def host(self) -> str:
        """The host, with its port where it has one."""
        return parse.urlsplit(self.root).netloc

    @property
    def parts(self) -> tuple[str, ...]:
        """The path in its parts, unquoted."""
        return tuple(parse.unquote(part) for part in self.path.split("/"))

    def owner_and_name(self) -> tuple[str, str]:
        """The two parts of a path that has no more. Raises `ConfigInvalid` for another one."""
        parts = self.parts
        if len(parts) != 2:  # noqa: PLR2004 - owner and name
            raise errors.ConfigInvalid(
                f"{self.path} is not the path of a repository of {self.host}",
                why="it has to be owner/name there",
                hint="where the forge lives in a folder of its host, set api: to the address of its API",
            )
        return parts[0], parts[1]


def read(url: str) -> Address | None:
    """The address behind a URL of Git; None for one that is no forge's (a file, a folder).

    A forge that Git reaches over SSH is asked over HTTPS on the same host. Raises `ConfigInvalid` when there is no
    repository in it.
    """
    parts = parse.urlsplit(url)
    if parts.scheme in _SCHEMES:
        scheme = "http" if parts.scheme == "http" else "https"
        host = parts.netloc.rpartition("@")[2]
        host = host if parts.scheme.startswith("http") else (parts.hostname or "")
        path = parts.path
    elif (short := _SHORT.fullmatch(url)) and not parts.scheme.startswith("file"):
        scheme, host, path = "https", short["host"], short["path"]
    else:
        return None
    path = path.strip("/").removesuffix(".git")
    if not host or not path:
        raise errors.ConfigInvalid(
            "there is no repository in the URL of the GitOps repository",
            hint="as in https://forge.example/team/gitops.git",
        )
    return Address(f"{scheme}://{_BY_SSH.get(host, host)}", path)


def below(address: Address, api: str, suffix: str) -> Address:
    """The address on a forge that lives in a folder of its host, which the API's own address tells.

    With the API at `https://host/git/api/v1`, whose `suffix` is `/api/v1`, `git` belongs to the root.
    """
    web = parse.urlsplit(api.rstrip("/").removesuffix(suffix))
    folder = web.path.strip("/")
    if not folder or web.hostname != parse.urlsplit(address.root).hostname:
        return address
    if not address.path.startswith(f"{folder}/"):
        return address
    return Address(f"{address.root}/{folder}", address.path.removeprefix(f"{folder}/"))
