"""Files that Git LFS keeps elsewhere, brought by the program `git-lfs` where it is installed."""

from __future__ import annotations

import hashlib
import shutil

from undrift import errors
from undrift.sources.git import command, repository, trees

_TIMEOUT = 600.0


async def fetch(owner: repository.Repository, path: str, content: bytes, pointer: trees.Pointer) -> bytes:
    """The file behind a pointer, checked against its digest.

    Raises `ArtifactRefused` when there is no `git-lfs` or the content is another, and what the server says.
    """
    if shutil.which("git-lfs") is None:
        raise errors.ArtifactRefused(
            f"{path} is kept by Git LFS",
            origin=errors.Origin(path),
            why="the program git-lfs is not installed on the agent's host",
            hint="install git-lfs (Debian, Ubuntu: apt-get install git-lfs), or set lfs: false to get the pointer",
        )
    async with owner.place.access() as access:
        # Only `git-lfs` itself is asked; its store lies beside the objects and may be deleted like them.
        environment = {
            **access.environment,
            "GIT_DIR": str(owner.store.objects_folder),
            "GIT_LFS_SKIP_SMUDGE": "0",
        }
        try:
            done = await command.run(["lfs", "smudge", path], environment, given=content, timeout=_TIMEOUT)
        except TimeoutError:
            raise errors.SourceUnavailable(
                f"{path} does not come from Git LFS", why=f"no answer within {_TIMEOUT:g} s"
            ) from None
    if done.status:
        try:
            raise command.explain(f"{path} does not come from Git LFS", done, access.secrets)
        except command.Corruption as damage:
            raise errors.SourceUnavailable(f"{path} does not come from Git LFS", why=str(damage)) from None
    if hashlib.sha256(done.output).hexdigest() != pointer.sha256:
        raise errors.ArtifactRefused(
            f"{path} is not the file that was committed",
            origin=errors.Origin(path),
            why="what the Git LFS server gave has another digest than the pointer in Git",
            hint="push the file again with `git lfs push`",
        )
    return done.output
