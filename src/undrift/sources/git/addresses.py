"""Where a repository is, and what it takes for `git` to reach it. Knows no network."""

from __future__ import annotations

import dataclasses
import os
import re
from urllib import parse

from undrift import errors

_SCP = re.compile(r"^(?:(?P<user>[\w.-]+)@)?(?P<host>\w[\w.-]*|\[[0-9a-fA-F:]+\]):(?!//|:)(?P<path>.+)$")


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where a repository is: `scheme` is https, http, ssh or file; `path` is the folder of a local one."""

    url: str
    scheme: str
    host: str = ""
    path: str = ""

    @property
    def shown(self) -> str:
        """For people."""
        return self.url


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """The environment for one command, and the values that must not be seen in what it prints."""

    environment: dict[str, str] = dataclasses.field(repr=False)
    secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)


def parse_url(url: str, *, insecure: bool = False) -> Address:
    """Understand a URL, `git@host:path` or an absolute path. Raises `ConfigInvalid`."""
    if url.startswith("/"):
        return Address(url, "file", path=os.path.normpath(url))
    found = _SCP.match(url) if "://" not in url else None
    if found:
        return Address(url, "ssh", host=found["host"], path=found["path"])
    parts = parse.urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path:
        return Address(url, "file", path=parse.unquote(parts.path))
    if parts.scheme not in {"https", "http", "ssh"} or not parts.hostname or not parts.path.strip("/"):
        raise errors.ConfigInvalid(
            f"{_without_user(url)} is not the address of a Git repository",
            why="it has to be https://…, ssh://…, git@host:path, file:///… or an absolute path",
            hint="correct the url of the source",
        )
    if parts.password is not None or (parts.username and parts.scheme != "ssh"):
        raise errors.ConfigInvalid(
            f"the address of {parts.hostname} holds a credential",
            why="what is in Git in clear is no secret any more",
            hint="revoke it, and name an environment variable or a file under authentication",
        )
    if parts.scheme == "http" and not insecure and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise errors.ConfigInvalid(
            f"{url} is not encrypted",
            why="anybody on the way can change what will be applied",
            hint="use https, or say insecure: true",
        )
    return Address(url, parts.scheme, host=parts.netloc.rpartition("@")[2], path=parts.path)


def protocols(place: Address) -> str:
    """What `GIT_ALLOW_PROTOCOL` lets Git speak for a person with settings of their own (`url.….insteadOf`): what is
    not encrypted only where the address itself is not.
    """
    return ":".join(dict.fromkeys(["https", "ssh", "file", place.scheme]))


def _without_user(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)
