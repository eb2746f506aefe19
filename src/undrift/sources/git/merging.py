"""What merging a branch into another would give, made in our own store: nothing is checked out, nothing is pushed.

`git merge-tree --write-tree` (Git 2.38 and newer) merges as `git merge` does, renames included. The merged tree gets a
commit of its own, so that it can be read like any other; the same two commits give the same one.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from undrift import errors
from undrift.sources.git import command, references, repository

_CONFLICT: Final = 1
_TIMEOUT: Final = 120.0
_NOBODY: Final = {
    f"GIT_{role}_{what}": text
    for role in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "Undrift"), ("EMAIL", "undrift@localhost"), ("DATE", "@1 +0000"))
}
_USAGE: Final = 129
"""How `git` ends that does not know an option."""


@dataclasses.dataclass(frozen=True, slots=True)
class Merged:
    """A merge: its commit ("" where it conflicts), the files in conflict, and the two commits it is of."""

    commit: str
    base: str
    head: str
    conflicts: tuple[str, ...] = ()


async def merge(owner: repository.Repository, base: str, branch: str, head: str) -> Merged:
    """Merge `head`, the tip of `branch`, into `base`, a commit that is in the store.

    Raises `ReferenceMissing` where they have no common history, and other `SourceError`s.
    """
    # By its id: the name may be one that another branch, gone since, is in the way of.
    await owner.obtain(references.Selected("", branch, head))
    merged = await owner.write(
        ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", base, head], timeout=_TIMEOUT
    )
    if merged.status > _CONFLICT:
        raise _refused(owner, branch, merged)
    tree, *files = merged.output.decode("utf-8", "replace").rstrip("\0").split("\0")
    if merged.status == _CONFLICT:
        return Merged("", base, head, tuple(dict.fromkeys(one for one in files if one)))
    made = await owner.write(
        ["commit-tree", tree.strip(), "-p", base, "-p", head, "-m", f"Merge {branch}"],
        timeout=_TIMEOUT,
        extra=_NOBODY,
    )
    if made.status:
        raise _refused(owner, branch, made)
    return Merged(made.output.decode().strip(), base, head)


def _refused(owner: repository.Repository, branch: str, done: command.Finished) -> errors.ReferenceMissing:
    old = done.status == _USAGE
    return errors.ReferenceMissing(
        f"{branch} of {owner.shown} cannot be merged",
        why=command.shorten(done.complaint) or f"git ended with status {done.status}",
        hint="install Git 2.38 or newer on the agent's machine" if old else "rebase it onto its base",
    )
