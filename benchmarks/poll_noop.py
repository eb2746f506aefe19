"""poll-noop: CPU of one poll that finds nothing new, over HTTP with a token, in milliseconds.

The server is a process of its own. The floor is what `git ls-remote` costs for the same answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import figures
from undrift.model import secret, source
from undrift.sources import credentials, opening

ROUNDS = 300
TOKEN = "a-token"
_SERVE = """
import pathlib, sys, threading
from undrift.testing import git_http, git_server
with git_server.GitServer(pathlib.Path(sys.argv[1]), git_http.Behaviour(users={"x-access-token": sys.argv[2]})) as server:
    repository = server.repository("ops")
    for number in range(200):
        repository.commit({f"file-{number}": "x"})
    print(repository.url, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The URL of a repository, served for the time of a block."""
    with tempfile.TemporaryDirectory(prefix="undrift-bench-") as folder:
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVE, folder, TOKEN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.communicate(timeout=20)


def spent(who: int) -> float:
    """Seconds of CPU."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


async def ours(url: str) -> float:
    """Milliseconds of CPU a poll, with those of any process that it starts."""
    declared = source.Source(
        "ops",
        source.SourceKind.GIT,
        url,
        authentication=source.Authentication(token=source.Credential(value=secret.Secret(TOKEN))),
    )
    with tempfile.TemporaryDirectory(prefix="undrift-bench-") as folder:
        pool = opening.SourcePool(pathlib.Path(folder), credentials.EnvironmentSecrets())
        opened = pool.open_git(declared)
        first = await opened.resolve()
        before = spent(resource.RUSAGE_SELF) + spent(resource.RUSAGE_CHILDREN)
        for _ in range(ROUNDS):
            opened.expect()
            if (await opened.resolve()).digest != first.digest:
                raise SystemExit("the repository changed")
        used = spent(resource.RUSAGE_SELF) + spent(resource.RUSAGE_CHILDREN) - before
        await pool.close()
    return used / ROUNDS * 1000


def theirs(url: str) -> float:
    """Milliseconds of CPU of one `git ls-remote`."""
    with_token = url.replace("://", f"://x-access-token:{TOKEN}@", 1)
    before = spent(resource.RUSAGE_CHILDREN)
    for _ in range(ROUNDS // 10):
        subprocess.run(
            ["git", "ls-remote", "--quiet", with_token, "refs/heads/main"],
            check=True,
            capture_output=True,
            timeout=20,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"},
        )
    return (spent(resource.RUSAGE_CHILDREN) - before) / (ROUNDS // 10) * 1000


def main() -> None:
    """Print the poll beside Git's."""
    with served() as url:
        figures.tell("poll-noop", asyncio.run(ours(url)), "ms", theirs(url))


if __name__ == "__main__":
    main()
