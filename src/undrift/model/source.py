"""Where desired state is kept, immutable names of its content, and that content."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from undrift import errors
from undrift.model import secret


@dataclasses.dataclass(frozen=True, slots=True)
class Revision:
    """An immutable name of a source's content: `main@sha1:<hex>` or `1.2.3@sha256:<hex>`.

    `reference` is what was asked for (branch, tag, range), `digest` what it stands for, with its
    algorithm. Author, time (seconds since the epoch), message and signer belong to the commit.
    """

    reference: str
    digest: str
    author: str = ""
    time: float = 0.0
    message: str = ""
    signer: str = ""

    def __str__(self) -> str:
        return f"{self.reference}@{self.digest}" if self.reference else self.digest

    @property
    def short(self) -> str:
        """For people: the reference and the first eight digits."""
        return f"{self.reference}@{self.digest.partition(':')[2][:8]}"


class FileKind(enum.StrEnum):
    """What an entry of an artifact is."""

    FILE = "file"
    EXECUTABLE = "executable"
    LINK = "link"


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact: its content (of a link: where it points to)."""

    content: bytes
    kind: FileKind = FileKind.FILE


@dataclasses.dataclass(frozen=True, slots=True)
class Artifact:
    """The files of one path of a source at one revision, read-only.

    `files` maps the path relative to `path` to the file; `digest` names the content alone, so two
    revisions with equal content have the same one. A `single` one is a file itself, `files` its base name only.
    `around` are files beside `path` that a renderer asked for, by their paths in the source.
    """

    revision: Revision
    path: str
    digest: str
    files: Mapping[str, File] = dataclasses.field(repr=False, default_factory=dict)
    single: bool = False
    around: Mapping[str, File] = dataclasses.field(repr=False, default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """Where a credential is found: never the credential itself.

    `env` names an environment variable, `file` a file of the agent's host. `value` holds one that was
    declared in an encrypted document and decrypted in memory.
    """

    env: str = ""
    file: str = ""
    value: secret.Secret | None = None


class SourceKind(enum.StrEnum):
    """What kind of place a source is."""

    GIT = "git"
    OCI = "oci"


@dataclasses.dataclass(frozen=True, slots=True)
class GitReference:
    """What to follow: exactly one of the four is set. `semver` is a range over tags."""

    branch: str = ""
    tag: str = ""
    semver: str = ""
    commit: str = ""

    def __str__(self) -> str:
        return self.branch or self.tag or self.semver or self.commit


@dataclasses.dataclass(frozen=True, slots=True)
class GitHubApp:
    """Sign-in as an installation of a GitHub App; the key is a PEM file or variable."""

    app_id: str
    installation_id: str
    private_key: Credential
    api_url: str = "https://api.github.com"


@dataclasses.dataclass(frozen=True, slots=True)
class Authentication:
    """How we sign in to a source; what is not set is not used. `known_hosts` and `ca` are file references."""

    username: Credential | None = None
    password: Credential | None = None
    token: Credential | None = None
    ssh_key: Credential | None = None
    known_hosts: Credential | None = None
    ca: Credential | None = None
    github_app: GitHubApp | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Verification:
    """Who must have signed: OpenPGP public keys and/or an SSH allowed_signers text (public, so in Git).

    `what` is `commit`, `tag` or `either`.
    """

    what: str = "commit"
    openpgp_keys: tuple[str, ...] = ()
    allowed_signers: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A declared source (`kind: Source`)."""

    name: str
    kind: SourceKind
    url: str
    reference: GitReference = GitReference(branch="main")
    interval: float = 30.0
    timeout: float = 60.0
    authentication: Authentication = Authentication()
    verification: Verification | None = None
    allow_force_push: bool = False
    submodules: bool = False
    lfs: bool = False
    insecure: bool = False
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    origin: errors.Origin | None = dataclasses.field(default=None, compare=False)
