"""The settings of an agent's process: where its configuration is, and where it keeps what it remembers.

Everything else is in Git. Each setting is an option of `undrift agent` or an environment variable: `--state-dir`
is `UNDRIFT_STATE_DIR`. How to sign in to the config repository is in variables only (`CREDENTIALS`), so that it
is on no command line.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib import parse

from undrift import errors
from undrift.lib import durations, words
from undrift.model import source

PREFIX: Final = "UNDRIFT_"
CREDENTIALS: Final = (
    "GIT_USERNAME", "GIT_PASSWORD", "GIT_TOKEN", "GIT_SSH_KEY", "GIT_KNOWN_HOSTS", "GIT_CA",
    "GIT_GITHUB_APP_KEY",
)  # fmt: skip
"""Variables (after `UNDRIFT_`) that hold a credential; with `_FILE` behind the name they name a file that does."""
_PLAIN: Final = (
    "GIT_GITHUB_APP_ID",
    "GIT_GITHUB_INSTALLATION_ID",
    "GIT_ALLOWED_SIGNERS_FILE",
    "GIT_OPENPGP_KEYS_FILE",
)
_LONGEST_SOCKET: Final = 107
_SCP: Final = re.compile(r"^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:(?!//)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process is told when it starts. Durations are seconds.

    `path` is the folder of the configuration in the repository. `agent` is the name of its `kind: Agent`; it
    may be empty where there is only one. `database` is a SQLAlchemy URL and may hold a password.
    """

    repository: str
    path: str
    branch: str
    state_dir: pathlib.Path
    socket: pathlib.Path
    database: str = dataclasses.field(repr=False)
    agent: str = ""
    interval: float = 30.0
    timeout: float = 60.0
    age_key_file: str = ""
    allow_force_push: bool = False
    authentication: source.Authentication
    verification: source.Verification | None = None

    @property
    def source(self) -> source.Source:
        """The config repository as a source; it is called `config`."""
        return source.Source(
            name="config",
            kind=source.SourceKind.GIT,
            url=self.repository,
            reference=source.GitReference(branch=self.branch),
            interval=self.interval,
            timeout=self.timeout,
            authentication=self.authentication,
            verification=self.verification,
            allow_force_push=self.allow_force_push,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Given:
    """Options before variables; an empty one counts as not given. Notes what is wrong with them."""

    options: Mapping[str, object]
    environ: Mapping[str, str]
    wrong: list[errors.UndriftError]

    def text(self, name: str, default: str = "") -> str:
        value = self.options.get(name)
        if value is None or value == "":
            value = self.environ.get(PREFIX + name.upper(), "")
        return str(value) or default

    def seconds(self, name: str, default: str) -> float:
        try:
            found = durations.parse(self.text(name, default))
        except ValueError as error:
            self.refuse(name, str(error))
            return durations.parse(default)
        if found <= 0:
            self.refuse(name, "should be longer than nothing")
        return found

    def flag(self, name: str) -> bool:
        value = self.options.get(name)
        if isinstance(value, bool) and value:
            return True
        written = self.environ.get(PREFIX + name.upper(), "").lower()
        if written not in {"", "0", "1", "false", "true", "no", "yes"}:
            self.refuse(name, "should be true or false")
        return written in {"1", "true", "yes"}

    def refuse(self, name: str, why: str, hint: str = "") -> None:
        option = f"--{name.replace('_', '-')} (or {PREFIX}{name.upper()})"
        self.wrong.append(errors.ConfigInvalid(f"{option} {why}", hint=hint))


def load(options: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """The settings that options (`state_dir` …; None or "" = not given) and variables amount to.

    Raises `ConfigInvalid` for all that is wrong, at once. Reads the files that verification names; makes nothing.
    """
    given = _Given(options, environ, [])
    given.wrong.extend(_strangers(environ))
    state = _state_dir(given)
    settings = Settings(
        repository=_repository(given),
        path=_path(given),
        branch=given.text("branch", "main"),
        state_dir=state,
        socket=_socket(given, state),
        database=_database(given, state),
        agent=given.text("agent"),
        interval=given.seconds("interval", "30s"),
        timeout=given.seconds("timeout", "60s"),
        age_key_file=given.text("age_key_file"),
        allow_force_push=given.flag("allow_force_push"),
        authentication=_authentication(given),
        verification=_verification(given),
    )
    if given.wrong:
        raise errors.gather(given.wrong)
    return settings


def _strangers(environ: Mapping[str, str]) -> Iterator[errors.UndriftError]:
    """Variables that look like ours and differ from one of ours by a slip of the finger."""
    own = [field.name.upper() for field in dataclasses.fields(Settings)]
    known = {
        PREFIX + name for name in (*own, *_PLAIN, *CREDENTIALS, *(f"{name}_FILE" for name in CREDENTIALS))
    }
    for name in sorted(environ):
        if name.startswith(f"{PREFIX}GIT_") and name not in known:
            yield errors.ConfigInvalid(
                f"environment variable {name} is not known", hint=words.suggestion(name, known)
            )


def _repository(given: _Given) -> str:
    url = given.text("repository")
    if not url:
        given.refuse(
            "repository", "is missing", "say where the configuration is: a URL or a path of a Git repository"
        )
        return ""
    if _SCP.match(url):
        return url
    try:
        parts = parse.urlsplit(url)
        held = parts.password is not None or bool(parts.username and parts.scheme != "ssh")
    except ValueError:
        given.refuse("repository", "is not a URL")
        return ""
    if held:
        given.refuse(
            "repository",
            "holds a credential in clear",
            f"take it out of the URL and set {PREFIX}GIT_TOKEN, or {PREFIX}GIT_USERNAME and {PREFIX}GIT_PASSWORD",
        )
    if parts.scheme:
        return url
    return str(pathlib.Path(url).expanduser().absolute())


def _path(given: _Given) -> str:
    written = given.text("path", ".")
    steps = [step for step in written.split("/") if step not in {"", "."}]
    if ".." in steps or "\0" in written:
        given.refuse("path", "leads out of the repository", "write it relative to its root")
    return "/".join(steps) or "."


def _state_dir(given: _Given) -> pathlib.Path:
    written = given.text("state_dir")
    if written:
        return pathlib.Path(written).expanduser().absolute()
    root = given.environ.get("XDG_STATE_HOME", "")
    if root and pathlib.Path(root).is_absolute():
        return pathlib.Path(root) / "undrift"
    return pathlib.Path("~/.local/state/undrift").expanduser().absolute()


def _socket(given: _Given, state: pathlib.Path) -> pathlib.Path:
    written = given.text("socket")
    found = pathlib.Path(written).expanduser().absolute() if written else state / "agent.sock"
    size = len(os.fsencode(found))
    if size > _LONGEST_SOCKET:
        given.refuse(
            "socket",
            f"is too long ({size} bytes): a socket's path has at most {_LONGEST_SOCKET}",
            "choose a shorter one",
        )
    return found


def _database(given: _Given, state: pathlib.Path) -> str:
    """The database's URL without a driver: which one is used is not the user's matter."""
    written = given.text("database")
    if not written:
        return f"sqlite:///{state / 'undrift.db'}"
    scheme, separator, rest = written.partition("://")
    if not separator:
        return f"sqlite:///{pathlib.Path(written).expanduser().absolute()}"
    kind = {"postgres": "postgresql"}.get(scheme, scheme.partition("+")[0])
    if kind not in {"sqlite", "postgresql"}:
        given.refuse(
            "database", f"is of kind {scheme!r}", "use sqlite:///PATH or postgresql://USER@HOST/NAME"
        )
        return ""
    return f"{kind}://{rest}"


def _credential(given: _Given, name: str) -> source.Credential | None:
    variable, file = PREFIX + name, given.environ.get(f"{PREFIX}{name}_FILE", "")
    if given.environ.get(variable) and file:
        given.wrong.append(
            errors.ConfigInvalid(f"{variable} and {variable}_FILE are both set", hint="keep one")
        )
    if file:
        return source.Credential(file=str(pathlib.Path(file).expanduser().absolute()))
    return source.Credential(env=variable) if given.environ.get(variable) else None


def _authentication(given: _Given) -> source.Authentication:
    key = _credential(given, "GIT_GITHUB_APP_KEY")
    app_id = given.environ.get(f"{PREFIX}GIT_GITHUB_APP_ID", "")
    installation = given.environ.get(f"{PREFIX}GIT_GITHUB_INSTALLATION_ID", "")
    if any((key, app_id, installation)) and not all((key, app_id, installation)):
        names = ", ".join(
            PREFIX + name
            for name in ("GIT_GITHUB_APP_ID", "GIT_GITHUB_INSTALLATION_ID", "GIT_GITHUB_APP_KEY")
        )
        given.wrong.append(
            errors.ConfigInvalid("a GitHub App needs three variables", hint=f"set all of {names}")
        )
    found = source.Authentication(
        username=_credential(given, "GIT_USERNAME"),
        password=_credential(given, "GIT_PASSWORD"),
        token=_credential(given, "GIT_TOKEN"),
        ssh_key=_credential(given, "GIT_SSH_KEY"),
        known_hosts=_credential(given, "GIT_KNOWN_HOSTS"),
        ca=_credential(given, "GIT_CA"),
        github_app=source.GitHubApp(app_id, installation, key) if key else None,
    )
    if found.password is not None and found.username is None:
        given.wrong.append(
            errors.ConfigInvalid(f"{PREFIX}GIT_PASSWORD is set without {PREFIX}GIT_USERNAME", hint="set both")
        )
    return found


def _verification(given: _Given) -> source.Verification | None:
    signers = _read(given, "GIT_ALLOWED_SIGNERS_FILE")
    keys = _read(given, "GIT_OPENPGP_KEYS_FILE")
    if not signers and not keys:
        return None
    return source.Verification("commit", (keys,) if keys else (), signers)


def _read(given: _Given, name: str) -> str:
    """The text of a file that a variable names; one that cannot be read is an error, never "no verification"."""
    named = given.environ.get(PREFIX + name, "")
    if not named:
        return ""
    try:
        text = pathlib.Path(named).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        given.wrong.append(
            errors.ConfigInvalid(f"{PREFIX}{name} names {named}, which cannot be read", why=str(why))
        )
        return ""
    if not text.strip():
        given.wrong.append(errors.ConfigInvalid(f"{PREFIX}{name} names {named}, which is empty"))
    return text
