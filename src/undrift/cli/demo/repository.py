"""The GitOps repository of the demo: a small website and its web server, in two stages."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

from undrift import errors
from undrift.cli.demo import folder

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada Demo",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada Demo",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
_TIMEOUT = 30
STAGES = ("staging", "production")


class Repository:
    """A bare repository that the agent follows, and a checkout in which a developer works."""

    def __init__(self, sandbox: folder.Sandbox, ports: dict[str, int]) -> None:
        self._sandbox = sandbox
        self._ports = ports

    def create(self) -> None:
        """Make both, with the first commit."""
        self._git(
            self._sandbox.root,
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            str(self._sandbox.repository),
        )
        self._git(
            self._sandbox.root, "clone", "--quiet", str(self._sandbox.repository), str(self._sandbox.checkout)
        )
        self._git(self._sandbox.checkout, "checkout", "--quiet", "-B", "main")
        for name, value in (("user.name", "Ada Demo"), ("user.email", "ada@example.org")):
            self._git(self._sandbox.checkout, "config", name, value)
        self.write("undrift/config.yaml", self._config())
        for stage in STAGES:
            self.write(f"{stage}/host.yaml", self.manifest(stage))
            self.write(f"{stage}/files/www/index.html", page("Welcome", "1"))
            self.write(f"{stage}/files/www/about.html", page("About us", "1"))
            self.write(f"{stage}/templates/stage.txt.j2", "This is {{ stage }}.\n")
        self.push("A website with its web server, in staging and production")

    def write(self, path: str, text: str | None) -> None:
        """Set the content of a file of the checkout; None removes it."""
        place = self._sandbox.checkout / path
        if text is None:
            place.unlink()
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def push(self, message: str) -> str:
        """Commit everything and push; returns the short commit id."""
        self._git(self._sandbox.checkout, "add", "--all")
        self._git(self._sandbox.checkout, "commit", "--quiet", "--message", message)
        self._git(self._sandbox.checkout, "push", "--quiet", "origin", "main")
        return self._git(self._sandbox.checkout, "rev-parse", "--short=8", "HEAD").strip()

    def revert(self) -> str:
        """Take the last commit back, by a commit."""
        self._git(self._sandbox.checkout, "revert", "--no-edit", "HEAD")
        self._git(self._sandbox.checkout, "push", "--quiet", "origin", "main")
        return self._git(self._sandbox.checkout, "rev-parse", "--short=8", "HEAD").strip()

    def _git(self, where: pathlib.Path, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["git", *arguments],
                check=True,
                capture_output=True,
                text=True,
                cwd=where,
                env={**os.environ, **_IDENTITY},
                timeout=_TIMEOUT,
            )
        except FileNotFoundError as error:
            raise errors.ToolMissing("git is not installed", hint="install Git, then try again") from error
        except subprocess.CalledProcessError as error:
            raise errors.SourceError(f"git {arguments[0]} failed", why=error.stderr.strip()) from error
        return done.stdout

    def _config(self) -> str:
        documents = [
            "# Everything Undrift is to know.\napiVersion: undrift.dev/v1\nkind: Agent\nmetadata: {name: demo}\nspec: {interval: 1s}\n"
        ]
        for stage in STAGES:
            policy = (
                "\n  policy: {mode: approval}\n  dependsOn: [website-staging]"
                if stage == "production"
                else ""
            )
            documents.append(
                f"apiVersion: undrift.dev/v1\nkind: Target\nmetadata: {{name: {stage}}}\n"
                f"spec:\n  provider: hosts\n  agent: demo\n  settings: {{root: {self._sandbox.stage(stage)}}}\n"
            )
            documents.append(
                f"apiVersion: undrift.dev/v1\nkind: Application\nmetadata: {{name: website-{stage}}}\n"
                f"spec:\n  source: {{path: {stage}}}\n  target: {stage}{policy}\n"
            )
        return "---\n".join(documents)

    def manifest(self, stage: str) -> str:
        """The manifest of a stage."""
        return textwrap.dedent(f"""\
            apiVersion: undrift.dev/hosts/v1
            kind: Host
            spec:
              vars: {{stage: {stage}}}
              directories:
                - {{path: /www, source: files/www}}
              files:
                - {{path: /www/stage.txt, template: templates/stage.txt.j2}}
              services:
                - name: web
                  command: [{sys.executable}, -m, http.server, "{self._ports[stage]}", --bind, 127.0.0.1]
                  directory: /www
                  health: {{http: "http://127.0.0.1:{self._ports[stage]}/stage.txt"}}
            """)


def page(title: str, version: str) -> str:
    """A page of the website."""
    return f"<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n<p>Version {version}</p>\n"
