r"""A real Gitea on loopback, with people, tokens, repositories, protected branches and required statuses.

    with gitea_server.GiteaServer(gitea_server.find()) as server:
        bot = server.person("bot")
        url = server.repository("ops/gitops")                  # the owner is made, with one commit on main
        server.allow("ops/gitops", "bot")
        server.commit("ops/gitops", "topic", "a.yaml", "a: 1\n")
        server.call("POST", "repos/ops/gitops/pulls", {...}, who="bot")

What `make peers` built is used; nothing is downloaded here. Gitea does not run as root: there it is another user,
in a folder of its own that everybody can read.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any, Self
from urllib import parse

from undrift.testing import control_plane

ADMIN = "root-admin"
_PATIENCE = 60.0
_NOBODY = 65534
_SCOPES = ["write:repository", "write:issue", "read:user", "write:organization"]
_SETTINGS = """
APP_NAME = Gitea of the tests
RUN_MODE = prod
WORK_PATH = {folder}/work

[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {static}
APP_DATA_PATH = {folder}/work/data
DISABLE_SSH = true
OFFLINE_MODE = true

[database]
DB_TYPE = sqlite3
PATH = {folder}/work/gitea.db
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 20000

[repository]
ROOT = {folder}/work/repositories
DEFAULT_BRANCH = main

[security]
INSTALL_LOCK = true
SECRET_KEY = {secret}
INTERNAL_TOKEN = {secret}
PASSWORD_HASH_ALGO = pbkdf2$1000$50
PASSWORD_COMPLEXITY = off

[oauth2]
JWT_SECRET = {jwt}

[service]
DISABLE_REGISTRATION = true
DEFAULT_KEEP_EMAIL_PRIVATE = true

[api]
MAX_RESPONSE_ITEMS = 10
ENABLE_SWAGGER = false

[webhook]
ALLOWED_HOST_LIST = loopback

[indexer]
ISSUE_INDEXER_TYPE = db

[actions]
ENABLED = false

[packages]
ENABLED = false

[log]
MODE = console
LEVEL = Warn
"""


class GiteaError(Exception):
    """Gitea did not start, or said no; `status` is that of its answer, 0 when there was none."""

    def __init__(self, told: str, status: int = 0) -> None:
        super().__init__(told)
        self.status = status


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    name: str
    password: str = dataclasses.field(repr=False)
    token: str = dataclasses.field(repr=False)


def find(root: pathlib.Path = control_plane.ROOT) -> pathlib.Path | None:
    """The program that was built last; beside it are the folders it reads. None when there is none."""
    return control_plane.find_tool("gitea", root)


class GiteaServer:
    """One server with its own data, gone when it is stopped."""

    def __init__(self, program: pathlib.Path) -> None:
        self.program = program
        self.people: dict[str, Person] = {}
        self.url = ""
        self.folder = pathlib.Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="undrift-gitea-"))
        try:
            self._settle()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove its data."""
        self.stop()

    def stop(self) -> None:
        """End it and what it started, by its own process group, and remove its data.

        At once: asked politely, it takes seconds, and nobody needs what it would write.
        """
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _settle(self) -> None:
        """Its folder, program and settings, where the user that it runs as can read them."""
        source = self.program.parent
        static = source
        if os.getuid() == 0:
            static = self.folder / "static"
            static.mkdir()
            for name in ("options", "templates"):
                shutil.copytree(source / name, static / name)
            self.program = static / "gitea"
            try:
                os.link(source / "gitea", self.program)
            except OSError:
                shutil.copy2(source / "gitea", self.program)
        (self.folder / "work").mkdir()
        self.folder.chmod(0o755)
        port = control_plane.free_port()
        self.url = f"http://127.0.0.1:{port}"
        jwt = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        settings = _SETTINGS.format(
            folder=self.folder, port=port, static=static, secret=secrets.token_hex(32), jwt=jwt
        )
        (self.folder / "app.ini").write_text(settings, encoding="utf-8")
        if os.getuid() == 0:
            for path in (self.folder / "work", self.folder / "app.ini"):
                os.chown(path, _NOBODY, _NOBODY)

    def _start(self) -> None:
        password = secrets.token_hex(12)
        self._run("migrate")
        self._run("admin", "user", "create", "--admin", "--username", ADMIN, "--password", password,
                  "--email", f"{ADMIN}@example.org", "--must-change-password=false")  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("web"), stdout=log, stderr=log, start_new_session=True, **self._identity()
            )
        ends = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise GiteaError(f"Gitea did not start\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        self.people[ADMIN] = Person(ADMIN, password, "")
        self.people[ADMIN] = self._signed_in(ADMIN, password, [*_SCOPES, "write:admin", "write:user"])

    def _command(self, *arguments: str) -> list[str]:
        return [str(self.program), "--config", str(self.folder / "app.ini"), *arguments]

    def _identity(self) -> dict[str, Any]:
        kept = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder / "work"), "TZ": "UTC"}
        told: dict[str, Any] = {"env": kept, "cwd": str(self.folder / "work"), "stdin": subprocess.DEVNULL}
        if os.getuid() == 0:
            told |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        return told

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            self._command(*arguments), capture_output=True, timeout=_PATIENCE, check=False, **self._identity()
        )
        if done.returncode:
            raise GiteaError(f"gitea {arguments[0]}: {(done.stdout + done.stderr)[-2000:].decode()}")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, GiteaError):
            self.call("GET", "version", who="")
            return True
        return False

    # ------------------------------------------------------------------ what a test asks for

    def call(self, method: str, path: str, body: Any = None, *, who: str = ADMIN) -> Any:
        """Ask its API as somebody ("" is nobody); the answer as JSON. Raises `GiteaError`."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if who:
            person = self.people[who]
            pair = base64.b64encode(f"{person.name}:{person.password}".encode()).decode()
            headers["Authorization"] = f"token {person.token}" if person.token else f"Basic {pair}"
        request = urllib.request.Request(  # noqa: S310 - of loopback
            f"{self.url}/api/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_PATIENCE) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise GiteaError(
                    f"{method} {path}: {error.code} {error.read()[:500]!r}", error.code
                ) from None
        return json.loads(content) if content.strip() else None

    def person(self, name: str, scopes: list[str] | None = None) -> Person:
        """An account with a token of its own, made when there is none yet."""
        if name not in self.people:
            password = secrets.token_hex(12)
            account = {"username": name, "email": f"{name}@example.org", "password": password}
            self.call("POST", "admin/users", account | {"must_change_password": False})
            self.people[name] = self._signed_in(name, password, scopes or _SCOPES)
        return self.people[name]

    def _signed_in(self, name: str, password: str, scopes: list[str]) -> Person:
        self.people[name] = Person(name, password, "")
        asked = {"name": secrets.token_hex(4), "scopes": scopes}
        return Person(name, password, self.call("POST", f"users/{name}/tokens", asked, who=name)["sha1"])

    def repository(self, name: str, **settings: Any) -> str:
        """A repository `owner/name` with one commit on main; its owner is an organization. Its URL for Git."""
        owner, _, short = name.partition("/")
        try:
            self.call("GET", f"orgs/{owner}")
        except GiteaError:
            self.call("POST", "orgs", {"username": owner, "visibility": "public"})
        asked = {"name": short, "auto_init": True, "default_branch": "main", "private": False}
        self.call("POST", f"orgs/{owner}/repos", asked | settings)
        return f"{self.url}/{name}.git"

    def allow(self, repository: str, name: str, permission: str = "write") -> None:
        """Give somebody rights on a repository: read, write or admin."""
        self.person(name)
        self.call("PUT", f"repos/{repository}/collaborators/{name}", {"permission": permission})

    def commit(self, repository: str, branch: str, path: str, text: str, *, who: str = ADMIN) -> str:
        """Write a file on a branch, which begins at main when it is new; the commit's id."""
        content = base64.b64encode(text.encode()).decode()
        body: dict[str, Any] = {"content": content, "message": f"write {path}"}
        at = f"repos/{repository}/contents/{parse.quote(path)}"
        try:
            self.call("GET", f"repos/{repository}/branches/{parse.quote(branch)}")
            body["branch"] = branch
        except GiteaError:
            body |= {"branch": "main", "new_branch": branch}
        with contextlib.suppress(GiteaError):
            body["sha"] = self.call("GET", f"{at}?ref={parse.quote(body['branch'])}")["sha"]
        answer = self.call("PUT" if "sha" in body else "POST", at, body, who=who)
        return str(answer["commit"]["sha"])

    def protect(self, repository: str, branch: str = "main", **rules: Any) -> None:
        """Protect a branch; `rules` as the API has them."""
        self.call("POST", f"repos/{repository}/branch_protections", {"rule_name": branch, **rules})

    def merge(self, repository: str, number: int, method: str = "merge", *, who: str = ADMIN) -> None:
        """Merge a pull request: merge, rebase, rebase-merge or squash. Waits while Gitea looks at it."""
        ends = time.monotonic() + _PATIENCE
        while True:
            try:
                self.call("POST", f"repos/{repository}/pulls/{number}/merge", {"do": method}, who=who)
            except GiteaError as error:
                if "try again later" not in str(error) or time.monotonic() > ends:
                    raise
                time.sleep(0.1)
            else:
                return
