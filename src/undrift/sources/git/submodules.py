"""Where the submodules of a commit come from.

A submodule is fetched with the source's own credentials where it lies on the same server, with none elsewhere:
whoever may write .gitmodules must not be able to send our credentials to a server of his choice.
"""

from __future__ import annotations

import dataclasses
import posixpath
from urllib import parse

from undrift import errors
from undrift.model import source
from undrift.sources.git import addresses, command, repository, trees

_FILE = ".gitmodules"


async def read(owner: repository.Repository, commit: str) -> dict[str, str]:
    """The URL of each submodule by its path. Raises `ArtifactRefused` when .gitmodules cannot be read."""
    entry = (await owner.locate(commit, [_FILE])).get(_FILE)
    if entry is None or entry.mode == trees.LINK:
        return {}
    text = (await owner.blobs(commit, [entry.object_id]))[entry.object_id]
    done = await command.run(
        ["config", "--file", "-", "--null", "--list"], command.plain_environment(), given=text
    )
    if done.status:
        raise errors.ArtifactRefused(
            ".gitmodules cannot be read", origin=errors.Origin(_FILE), why=command.shorten(done.complaint)
        )
    sections: dict[str, dict[str, str]] = {}
    for item in done.output.decode("utf-8", "replace").split("\0"):
        name, _, value = item.partition("\n")
        head, _, key = name.rpartition(".")
        if head.startswith("submodule."):
            sections.setdefault(head, {})[key] = value
    return {
        found["path"].strip("/"): absolute(owner.place.address, found["url"])
        for found in sections.values()
        if found.get("path") and found.get("url")
    }


def absolute(parent: addresses.Address, url: str) -> str:
    """The URL that a submodule names, which may be relative to that of its repository."""
    if not url.startswith(("./", "../")):
        return url
    if parent.scheme == "file":
        return posixpath.normpath(posixpath.join(parent.path, url))
    if parent.scheme == "ssh" and "://" not in parent.url:
        head = parent.url[: len(parent.url) - len(parent.path)]
        return head + posixpath.normpath(posixpath.join(parent.path, url))
    parts = parse.urlsplit(parent.url)
    return parts._replace(path=posixpath.normpath(posixpath.join(parts.path, url))).geturl()


def declare(parent: source.Source, url: str) -> source.Source:
    """The source that a submodule is. Raises `ArtifactRefused` for a place it may not be at."""
    here = addresses.parse_url(parent.url, insecure=parent.insecure)
    try:
        there = addresses.parse_url(url, insecure=parent.insecure)
    except errors.ConfigInvalid as error:
        raise errors.ArtifactRefused(
            "a submodule has an address that cannot be used", origin=errors.Origin(_FILE), why=str(error)
        ) from None
    if there.scheme == "file" and here.scheme != "file":
        raise errors.ArtifactRefused(
            f"the submodule {url} is a folder of the agent's host",
            origin=errors.Origin(_FILE),
            why="a repository on a server may not read it",
            hint="name a repository on a server",
        )
    same = (here.scheme, here.host) == (there.scheme, there.host)
    keep = (
        parent.authentication
        if same
        else source.Authentication(known_hosts=parent.authentication.known_hosts)
    )
    return dataclasses.replace(parent, url=url, authentication=keep, insecure=parent.insecure and same)
