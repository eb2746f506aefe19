"""What a server says to a push that it does not take: a race that was lost, a rule, or a person without rights. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from undrift import errors
from undrift.sources.git import command

_DECLINED: Final = re.compile(
    r"hook declined|protected|GH006|GL-HOOK|not allowed|TF402455|denied", re.IGNORECASE
)
_DENIED: Final = re.compile(r"permission denied for|not authori[sz]ed|read.only", re.IGNORECASE)
"""What a hook says where it is about who pushes, not about the branch."""
_LINE: Final = re.compile(r"^(?P<flag>.)\t(?P<from>[^\t]*):(?P<to>[^\t]*)\t(?P<said>.*)$", re.MULTILINE)
_BLOCKED: Final = re.compile(
    r"'refs/heads/(?P<there>[^']+)' exists; cannot create 'refs/heads/(?P<wanted>[^']+)'"
)


def read(output: bytes) -> dict[str, str]:
    """The refs that were refused and why, of what `git push --porcelain` printed."""
    lines = _LINE.finditer(output.decode("utf-8", "replace"))
    return {line["to"]: line["said"] for line in lines if line["flag"] == "!"}


def wants_long_ids(complaint: str) -> bool:
    """Whether the repository has ids of another kind than ours."""
    return "this repository's hash algorithm" in complaint


def check(refused: Mapping[str, str], complaint: str, shown: str) -> None:
    """Raise where trying again is of no use: `ConfigInvalid`, `SourceDenied`, `BranchTaken`, `BranchProtected`.

    All else that is refused was a race: servers have many words for that, and none is relied on.
    """
    if not refused and "does not support --atomic" in complaint:
        raise errors.ConfigInvalid(
            f"{shown} cannot move several branches at once",
            why="the server does not support atomic pushes, and stages are published together or not at all",
            hint="publish each stage by itself (--stage), or use a server that supports them",
        )
    if refused:
        _check_room(complaint, refused.values(), shown)
    if refused and _DENIED.search(complaint):
        raise errors.SourceDenied(f"{shown} does not let us push", why=command.shorten(complaint))
    for ref, why in refused.items():
        if _DECLINED.search(why) and "atomic" not in why:
            raise errors.BranchProtected(
                f"branch {ref.removeprefix('refs/heads/')} of {shown} is protected",
                why=f"{why}\n{command.shorten(complaint)}".strip(),
                hint="let whoever publishes push to it, or set publish: pull-request for that stage",
            )


def _check_room(complaint: str, refused: Collection[str], shown: str) -> None:
    """What another try would not change: Git knows no branch beside a folder of branches of one name, and what is
    checked out is not moved. Raises `BranchTaken`, `BranchProtected`.
    """
    there = _BLOCKED.search(complaint)
    if there:
        raise errors.BranchTaken(
            f"branch {there['wanted']} cannot be made in {shown}",
            why=f"there is a branch {there['there']}, and Git cannot have both",
            hint=f"rename or delete {there['there']}",
        )
    if any("checked out" in why for why in refused):
        raise errors.BranchProtected(
            f"{shown} is somebody's checkout",
            why="Git does not move a branch that is checked out",
            hint="publish into a bare repository: git clone --bare makes one",
        )
