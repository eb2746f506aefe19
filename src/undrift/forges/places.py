"""Where repositories are on forges whose addresses have more parts than owner and name."""

from __future__ import annotations

import dataclasses
from urllib import parse

from undrift import errors
from undrift.forges import address


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A repository. `root` is the forge's own address, or that of its collection; `owner` a project or namespace."""

    root: str
    owner: str
    name: str


def bitbucket_server(where: address.Address) -> Place:
    """`[folder/]scm/KEY/name` over HTTPS, `KEY/name` over SSH; keys of projects are in capitals, `~user` is as it is.

    Raises `ConfigInvalid`.
    """
    *before, owner, name = _enough(where, 2, "scm/KEY/name")
    folder = before[:-1] if before[-1:] == ["scm"] else before
    return Place(_root(where.root, folder), owner if owner.startswith("~") else owner.upper(), name)


def scm_manager(where: address.Address) -> Place:
    """`[folder/]repo/namespace/name`. Raises `ConfigInvalid`."""
    *before, owner, name = _enough(where, 3, "repo/namespace/name")
    if before[-1] != "repo":
        raise _strange(where, "repo/namespace/name")
    return Place(_root(where.root, before[:-1]), owner, name)


def azure_devops(where: address.Address) -> Place:
    """`organization/project/_git/name`, `v3/organization/project/name` over SSH; `root` ends with the organization.

    A repository that is called as its project may leave that out. Raises `ConfigInvalid`.
    """
    parts = [*_enough(where, 2, "organization/project/_git/name")]
    if parts[0] == "v3" and len(parts) == 4:  # noqa: PLR2004 - the form of SSH
        return Place(_root("https://dev.azure.com", parts[1:2]), parts[2], parts[3])
    if "_git" not in parts[:-1]:
        raise _strange(where, "organization/project/_git/name")
    before, name = parts[: parts.index("_git")], parts[-1]
    organizations = {"dev.azure.com": 1}.get(
        where.host, 0 if where.host.endswith(".visualstudio.com") else None
    )
    if organizations is not None and len(before) == organizations:
        before.append(name)
    if not before:
        raise _strange(where, "collection/project/_git/name")
    return Place(_root(where.root, before[:-1]), before[-1], name)


def _enough(where: address.Address, least: int, form: str) -> tuple[str, ...]:
    if len(where.parts) < least:
        raise _strange(where, form)
    return where.parts


def _strange(where: address.Address, form: str) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(
        f"{where.path} is not the path of a repository of {where.host}", why=f"it has to be {form} there"
    )


def _root(root: str, folder: list[str]) -> str:
    return "/".join([root, *(parse.quote(part, safe="") for part in folder)])
