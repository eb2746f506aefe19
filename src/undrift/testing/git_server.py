"""A real Git server on loopback, and repositories in which a commit takes milliseconds.

    server = git_server.GitServer(tmp_path)
    repository = server.repository("apps.git")
    first = repository.commit({"site/index.html": "<h1>Hello</h1>"}, "Say hello")
    with server:
        ...  # repository.url is http://127.0.0.1:…/apps.git; repository.file_url needs no server

Everything is done by the `git` program; what a test sees is what Git does.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import ssl
import subprocess
import threading
from collections.abc import Collection, Mapping
from typing import Self

from undrift.testing import git_http

AUTHOR = "Ada Lovelace <ada@example.com>"
_EPOCH = 1_700_000_000
_TIMEOUT = 120.0


@dataclasses.dataclass(frozen=True, slots=True)
class Signer:
    """A key to sign with: `format` is `openpgp` or `ssh`, `key` a fingerprint or a key file.

    `public` is what a verifier needs: an armoured OpenPGP key, or a line of an allowed_signers file.
    """

    format: str
    key: str
    public: str
    home: pathlib.Path

    def settings(self) -> list[str]:
        """Options for `git` that make it sign with this key."""
        return ["-c", f"gpg.format={self.format}", "-c", f"user.signingKey={self.key}"]


def make_ssh_signer(home: pathlib.Path, principal: str = "ada@example.com") -> Signer:
    """A new ed25519 key in the folder `home`."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = home / "id_ed25519"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", principal, "-f", str(key)])
    public = key.with_suffix(".pub").read_text("utf-8").strip()
    return Signer("ssh", str(key), f"{principal} {public}\n", home)


def make_openpgp_signer(home: pathlib.Path, user: str = AUTHOR) -> Signer:
    """A new OpenPGP key in a GNUPGHOME of its own; `home` must be a short path (a socket lies in it)."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    run([*gpg, "--quick-generate-key", user, "ed25519", "sign", "never"])
    listing = run([*gpg, "--with-colons", "--list-keys"]).decode()
    fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))
    public = run([*gpg, "--armor", "--export", fingerprint]).decode()
    run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"])
    return Signer("openpgp", fingerprint, public, home)


class GitRepository:
    """A bare repository; `partial` tells whether it lets clients leave out blobs, as forges do."""

    def __init__(self, path: pathlib.Path, url: str = "", *, partial: bool = True) -> None:
        self.path = path
        self.file_url = path.absolute().as_uri()
        self.url = url or self.file_url
        self._time = _EPOCH
        if not path.exists():
            run(["git", "init", "-q", "--bare", "-b", "main", str(path)])
            for name in ("http.receivepack", "uploadpack.allowAnySHA1InWant"):
                self.git("config", name, "true")
            self.git("config", "uploadpack.allowFilter", str(partial).lower())

    def git(self, *arguments: str, given: bytes = b"", signer: Signer | None = None) -> str:
        """Run git in this repository and return what it printed, stripped."""
        settings = signer.settings() if signer else []
        command = ["git", "--git-dir", str(self.path), *settings, *arguments]
        extra = {"GNUPGHOME": str(signer.home)} if signer and signer.format == "openpgp" else {}
        return run(command, given, extra).decode("utf-8", "surrogateescape").strip()

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str = "Change",
        author: str = AUTHOR,
        *,
        branch: str = "main",
        sign: Signer | None = None,
    ) -> str:
        """Write (None: delete) files on top of a branch, made if need be; returns the commit id."""
        return self.commit_entries(
            {name: None if content is None else ("100644", content) for name, content in files.items()},
            message,
            author,
            branch=branch,
            sign=sign,
        )

    def commit_entries(
        self,
        entries: Mapping[str, tuple[str, str | bytes] | None],
        message: str = "Change",
        author: str = AUTHOR,
        *,
        branch: str = "main",
        sign: Signer | None = None,
    ) -> str:
        """As `commit`, with a mode for each: 100644, 100755, 120000 (a link) or 160000 (a submodule's commit)."""
        self._time += 1
        reference = f"refs/heads/{branch}"
        self.git("fast-import", "--quiet", "--force", given=self._stream(reference, entries, message, author))
        return self._signed(reference, sign) if sign else self.revision(reference)

    def _stream(
        self, reference: str, entries: Mapping[str, tuple[str, str | bytes] | None], message: str, author: str
    ) -> bytes:
        text = message.encode()
        who = f"{author} {self._time} +0000"
        parts = [
            f"commit {reference}\nauthor {who}\ncommitter {who}\ndata {len(text)}\n".encode(),
            text,
            b"\n",
        ]
        if self.git("for-each-ref", reference):
            parts.append(f"from {reference}^0\n".encode())
        for name, entry in entries.items():
            parts.append(_operation(name, entry))
        return b"".join([*parts, b"done\n"])

    def _signed(self, reference: str, signer: Signer) -> str:
        """The newest commit again, with a signature: fast-import cannot make one."""
        raw = self.git("cat-file", "commit", reference)
        author = next(line[7:] for line in raw.splitlines() if line.startswith("author "))
        name, _, rest = author.partition(" <")
        address, _, when = rest.partition("> ")
        environment = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", name), ("EMAIL", address), ("DATE", when))
        }
        parents = [option for parent in self._parents(raw) for option in ("-p", parent)]
        if signer.format == "openpgp":
            environment["GNUPGHOME"] = str(signer.home)
        command = ["git", "--git-dir", str(self.path), *signer.settings(), "commit-tree", "-S"]
        message = raw.partition("\n\n")[2].encode()
        commit = run([*command, f"{reference}^{{tree}}", *parents], message, environment).decode().strip()
        self.git("update-ref", reference, commit)
        return commit

    def _parents(self, raw: str) -> list[str]:
        head = raw.partition("\n\n")[0]
        return [line[7:] for line in head.splitlines() if line.startswith("parent ")]

    def tag(self, name: str, target: str = "main", message: str = "", sign: Signer | None = None) -> str:
        """Set a tag (annotated with a message, or signed); returns the id of the tag or commit."""
        kind = ["-s", "-m", message or name] if sign else ["-a", "-m", message] if message else []
        options = ["-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.com"]
        self.git(*options, "tag", "-f", *kind, name, target, signer=sign)
        return self.revision(f"refs/tags/{name}")

    def point(self, branch: str, target: str) -> str:
        """Make a branch, or force it to another commit."""
        self.git("update-ref", f"refs/heads/{branch}", self.revision(target))
        return self.revision(branch)

    def delete(self, branch: str) -> None:
        """Delete a branch."""
        self.git("update-ref", "-d", f"refs/heads/{branch}")

    def revision(self, name: str = "main") -> str:
        """The object id of a branch, tag or expression."""
        return self.git("rev-parse", "--verify", "--quiet", name)

    def read(self, path: str, revision: str = "main") -> bytes:
        """The content of a file."""
        return run(["git", "--git-dir", str(self.path), "cat-file", "blob", f"{revision}:{path}"])

    def files(self, revision: str = "main") -> list[str]:
        """The names of all files."""
        names = self.git("ls-tree", "-r", "-z", "--name-only", revision)
        return [name for name in names.split("\0") if name]


class GitServer:
    """Serves the repositories below a folder over HTTP(S); `behaviour` may be changed at any time.

    The port stays the same when the server is stopped and started again. With `certificate` (a PEM file of
    key and certificate) it speaks HTTPS.
    """

    def __init__(
        self,
        root: pathlib.Path,
        behaviour: git_http.Behaviour | None = None,
        certificate: pathlib.Path | None = None,
    ) -> None:
        self.root = root
        self.behaviour = behaviour or git_http.Behaviour()
        self._context: ssl.SSLContext | None = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._port = 0
        self._thread: threading.Thread | None = None
        self._server = self._listen()
        self._running = False

    def _listen(self) -> git_http.Server:
        server = git_http.Server(("127.0.0.1", self._port), self.root, self.behaviour)
        self._port = server.server_address[1]
        if self._context:
            context = self._context
            server.wrap = lambda connection: context.wrap_socket(connection, server_side=True)
        return server

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[git_http.Request]:
        """What was asked since the server was started last."""
        return self._server.requests

    def repository(self, name: str, *, partial: bool = True) -> GitRepository:
        """A repository of this server, made if it does not exist."""
        return GitRepository(self.root / name, f"{self.url}/{name}", partial=partial)

    def count(self, words: Collection[str] = ("git-upload-pack",), method: str = "POST") -> int:
        """How many requests were made whose path has all of these words."""
        asked = [one for one in self.requests if one.method == method]
        return sum(all(word in one.path for word in words) for one in asked)

    def start(self) -> Self:
        """Answer from now on."""
        if not self._running:
            if self._thread is not None:
                self._server = self._listen()
            self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
            self._thread.start()
            self._running = True
        return self

    def stop(self) -> None:
        """Be gone: refuse connections, cut those there are."""
        if self._running and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._running = False
        self._server.server_close()
        self._server.disconnect()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _operation(name: str, entry: tuple[str, str | bytes] | None) -> bytes:
    quoted = _quote(name)
    if entry is None:
        return b"D " + quoted + b"\n"
    mode, given = entry
    content = given.encode() if isinstance(given, str) else given
    if mode == "160000":
        return b"M 160000 " + content + b" " + quoted + b"\n"
    return b"M " + mode.encode() + b" inline " + quoted + b"\ndata %d\n" % len(content) + content + b"\n"


def _quote(name: str) -> bytes:
    raw = name.encode("utf-8", "surrogateescape")
    escapes = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n"}
    return b'"' + b"".join(escapes.get(byte, bytes([byte])) for byte in raw) + b'"'


def run(command: list[str], given: bytes = b"", extra: Mapping[str, str] | None = None) -> bytes:
    """Run a program with nobody's settings and return what it printed. Raises `RuntimeError` when it fails."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **(extra or {}),
    }
    done = subprocess.run(
        command, input=given, capture_output=True, env=environment, timeout=_TIMEOUT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return done.stdout
