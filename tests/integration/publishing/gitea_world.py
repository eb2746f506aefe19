"""An application and a GitOps repository on a real Gitea, for the command that CI runs."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import os
import pathlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tests.integration.publishing import places
from undrift.testing import gitea_server

BOT = "bot"
_NUMBERS = itertools.count(1)
CONFIG = """\
apiVersion: undrift.dev/v1
kind: Delivery
metadata: {{name: {name}}}
spec:
  gitopsRepository: {{url: "{url}", forge: gitea}}
  source: {{manifests: k8s}}
  validators: [{{kind: yaml}}]
  stages:
{stages}
"""
STAGING = "  - {name: staging}\n"
PRODUCTION = "  - {name: production, publish: pull-request}\n"


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    complaint: str

    @property
    def told(self) -> str:
        return " ".join(f"{self.output}\n{self.complaint}".split())


@dataclasses.dataclass
class Application:
    """A checkout of an application; a file holds the number of its revision."""

    name: str
    folder: pathlib.Path

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        done = subprocess.run(
            ["git", "-C", str(self.folder), *who, *arguments], check=True, capture_output=True, timeout=60, text=True
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], message: str = "Change") -> str:
        """These are all manifests from now on."""
        shutil.rmtree(self.folder / "k8s", ignore_errors=True)
        for name, text in files.items():
            path = self.folder / "k8s" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")


@dataclasses.dataclass
class World:
    """`repository` is `owner/name` on the server."""

    server: gitea_server.GiteaServer
    root: pathlib.Path
    repository: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        self.repository = f"ops/gitops-{next(_NUMBERS)}"
        self.server.person(BOT)
        self.url = self.server.repository(self.repository)
        self.server.allow(self.repository, BOT)

    def application(self, name: str, stages: str = STAGING + PRODUCTION, url: str = "") -> Application:
        """A new one with one revision."""
        folder = self.root / name
        folder.mkdir()
        made = Application(name, folder)
        made.git("init", "-q", "-b", "main")
        config = CONFIG.format(name=name, url=url or self.url, stages=stages.rstrip("\n"))
        (folder / "undrift.yaml").write_text(config, encoding="utf-8")
        made.commit({"a.yaml": config_map(name, 0)})
        return made

    def environ(self, **more: str) -> dict[str, str]:
        token = self.server.person(BOT).token
        return {**places.environment(self.root), "UNDRIFT_TOKEN": token, "UNDRIFT_USERNAME": BOT, **more}

    async def undrift(self, folder: pathlib.Path, *arguments: str, **environ: str) -> Ended:
        """Run a command to its end."""
        process = await asyncio.create_subprocess_exec(
            str(places.BIN / "undrift"), *arguments, "-C", str(folder),
            env=self.environ(**environ), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, complaint = await process.communicate()
        return Ended(process.returncode or 0, output.decode(), complaint.decode())

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.server.call(method, f"repos/{self.repository}/{path}", body)

    def opened(self) -> list[dict[str, Any]]:
        """All open pull requests."""
        found: list[dict[str, Any]] = []
        for page in itertools.count(1):
            read = self.call("GET", f"pulls?state=open&page={page}")
            found += read
            if not read:
                return found
        return found

    @property
    def bare(self) -> pathlib.Path:
        """The repository on the server's disk."""
        return self.server.folder / "work" / "repositories" / f"{self.repository}.git"

    def git(self, *arguments: str) -> str:
        """What Git says in it."""
        command = ["git", "-c", "safe.directory=*", "--git-dir", str(self.bare), *arguments]
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(command, check=True, capture_output=True, timeout=60, text=True, env=kept)
        return done.stdout.strip()

    def files(self, folder: str, revision: str = "main") -> dict[str, str]:
        """The published files of a folder, without the note of where they are from."""
        names = self.git("ls-tree", "-r", "--name-only", revision, "--", f"{folder}/").splitlines()
        return {
            name.removeprefix(f"{folder}/"): self.git("show", f"{revision}:{name}") + "\n"
            for name in names
            if not name.endswith("hydrator.metadata")
        }


def config_map(name: str, number: int) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{number: '{number}'}}\n"


def settled(ended: Sequence[Ended]) -> None:
    """All of them did what they should."""
    wrong = [f"{one.code}: {one.told}" for one in ended if one.code]
    assert not wrong, f"{len(wrong)} of {len(ended)} failed:\n" + "\n".join(wrong)
