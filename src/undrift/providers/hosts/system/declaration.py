"""The lists of a manifest that are about the machine itself, entry by entry."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import pydantic

from undrift.providers.hosts import documents

_PACKAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:-]*")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~^_-]*")
_ACCOUNT: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?")
_SNIPPET: Final = re.compile(r"[A-Za-z0-9_-]+")
_UNIT: Final = re.compile(
    r"[A-Za-z0-9:_.\\@-]+\.(service|socket|timer|path|mount|automount|target|slice|swap|device|scope)"
)
_KEY: Final = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+")
_MODULE: Final = re.compile(r"[A-Za-z0-9_-]+")
_HOSTNAME: Final = re.compile(
    r"(?=.{1,64}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_TABLE: Final = re.compile(r"[a-z][a-z0-9_]*")
_SHA256: Final = re.compile(r"(sha256:)?[0-9a-f]{64}")
_SCHEDULE: Final = re.compile(
    r"@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)|[^\s]+( [^\s]+){4}"
)
_URL: Final = re.compile(r"(https?|ftp|file)://\S+")
_STEP: Final = re.compile(r"[0-9A-Za-z*,/-]+")
_PUBLIC: Final = re.compile(
    r"((?P<options>.+)\s)?(?P<kind>(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+)\s+(?P<key>[A-Za-z0-9+/]+=*)(\s+(?P<comment>.*))?"
)
_MOST_SECONDS: Final = 240.0


def _matching(pattern: re.Pattern[str], what: str, hint: str) -> pydantic.AfterValidator:
    """A validator for texts of a form."""

    def check(value: str) -> str:
        if pattern.fullmatch(value):
            return value
        raise documents.refuse("form", f"{value!r} is not {what}", hint)

    return pydantic.AfterValidator(check)


def _line(value: str) -> str:
    """Text on one line."""
    if "\n" in value or "\r" in value or "\0" in value:
        raise documents.refuse("line", "is more than a line", "write one line")
    return value


def _field(value: str) -> str:
    """Text in one field of /etc/passwd."""
    if ":" in value:
        raise documents.refuse("field", "has a colon in it", "the system's own files cannot hold that")
    return _line(value)


def _schedule(value: str) -> str:
    clean = " ".join(value.split())
    if not _SCHEDULE.fullmatch(clean) or not (
        clean.startswith("@") or all(_STEP.fullmatch(step) for step in clean.split(" "))
    ):
        raise documents.refuse(
            "schedule", f"{value!r} is not a schedule", 'write five fields, such as "5 4 * * *", or @daily'
        )
    return clean


def _public(value: str) -> str:
    """An SSH public key with its parts separated by one space each."""
    found = _PUBLIC.fullmatch(_line(value).strip())
    if found is None:
        raise documents.refuse(
            "key", "is not a public key", "write it as in authorized_keys: ssh-ed25519 AAAA… comment"
        )
    parts = (found["options"], found["kind"], found["key"], found["comment"])
    return " ".join(part.strip() for part in parts if part)


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise documents.refuse(
            "pattern", "is not a regular expression", f"it does not parse: {error}"
        ) from None
    return value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise documents.refuse("some", "is empty", "to let nobody in, leave the whole entry out")
    return value


def _digest(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise documents.refuse("digest", "is not a SHA-256 digest", "write its 64 hexadecimal digits")
    return value.removeprefix("sha256:")


def _patience(value: float) -> float:
    if value > _MOST_SECONDS:
        raise documents.refuse("patience", "is too long", "a change may take five minutes in all: at most 4m")
    return value


def _package(value: Any) -> Any:
    """A text stands for a package of that name."""
    return {"name": value} if isinstance(value, str) else value


Line = Annotated[str, pydantic.Field(strict=True, min_length=1), pydantic.AfterValidator(_line)]
Account = Annotated[
    str,
    pydantic.Field(strict=True),
    _matching(
        _ACCOUNT, "a name of a user or group", "use small letters, digits, _ and -, beginning with a letter"
    ),
]
Snippet = Annotated[
    str,
    pydantic.Field(strict=True),
    _matching(
        _SNIPPET,
        "a name that is read there",
        "use letters, digits, _ and -: files with other names are ignored",
    ),
]
PublicKey = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_public)]
Field = Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_field)]
Number = Annotated[int, pydantic.Field(strict=True, ge=0, le=4294967294)]
Hostname = Annotated[
    str, pydantic.Field(strict=True), _matching(_HOSTNAME, "a host name", "use letters, digits, - and dots")
]
Zone = Annotated[
    str,
    pydantic.Field(strict=True),
    _matching(_ZONE, "a time zone", "write it such as Europe/Berlin or Etc/UTC"),
]
Patience = Annotated[documents.Duration, pydantic.AfterValidator(_patience)]


class Package(documents.Item):
    """A package of the system. `without_recommends` installs no more than it needs (apt)."""

    name: Annotated[
        str,
        pydantic.Field(strict=True),
        _matching(_PACKAGE, "a name of a package", "one name; a version has a field of its own"),
    ]
    version: (
        Annotated[str, _matching(_VERSION, "a version", "write it as the package manager does")] | None
    ) = None
    state: Literal["present", "absent"] = "present"
    hold: documents.Flag | None = None
    recommends: documents.Flag = True
    purge: documents.Flag = False
    lock_timeout: Patience = 60.0

    @pydantic.model_validator(mode="after")
    def _makes_sense(self) -> Package:
        if self.state == "absent" and (self.version or self.hold):
            raise documents.refuse("absent", "is absent and has a version or is held", "keep one of the two")
        return self


class Repository(documents.Item):
    """A place that packages come from: deb822 for apt (`uris` …), or a .repo for dnf (`baseUrl`)."""

    name: Snippet
    types: tuple[Literal["deb", "deb-src"], ...] = ("deb",)
    uris: tuple[Line, ...] = ()
    suites: tuple[Line, ...] = ()
    components: tuple[Line, ...] = ()
    architectures: tuple[Line, ...] = ()
    base_url: Line | None = None
    key: documents.Source | None = None
    key_content: documents.Text | None = None
    trusted: documents.Flag = False
    enabled: documents.Flag = True

    @pydantic.model_validator(mode="after")
    def _is_whole(self) -> Repository:
        if (self.base_url is None) == (not self.uris):
            raise documents.refuse("place", "needs either uris (apt) or baseUrl (dnf)")
        if self.uris and not self.suites:
            raise documents.refuse(
                "suites", "has uris and no suites", 'write suites: [bookworm], or ["./"] for a flat one'
            )
        if self.key and self.key_content:
            raise documents.refuse("key", "has both key and keyContent", "keep one of the two")
        if not (self.key or self.key_content or self.trusted):
            raise documents.refuse(
                "key",
                "has no key",
                "commit its public key and name it (key: files/x.asc), or say trusted: true",
            )
        return self


class Group(documents.Item):
    """A group."""

    name: Account
    gid: Number | None = None
    system: documents.Flag = False


class User(documents.Item):
    """A user. What is not declared is as the system makes it and is left alone; `password` is a hash."""

    name: Account
    uid: Number | None = None
    group: Account | None = None
    groups: tuple[Account, ...] | None = None
    home: Annotated[documents.Path, pydantic.AfterValidator(_field)] | None = None
    shell: Annotated[documents.Path, pydantic.AfterValidator(_field)] | None = None
    comment: Field | None = None
    system: documents.Flag = False
    create_home: documents.Flag | None = None
    locked: documents.Flag | None = None
    password: Field | None = None


class AuthorizedKeys(documents.Item):
    """SSH keys that let somebody in as a user; `whole`: and no others."""

    user: Account
    keys: Annotated[tuple[PublicKey, ...], pydantic.AfterValidator(_some)]
    whole: documents.Flag = False


class Sudoers(documents.Item, documents.Filled):
    """A file in /etc/sudoers.d."""

    name: Snippet


class Unit(documents.Item):
    """A unit of systemd that is no `service` of ours, or one that the system brought along."""

    name: Annotated[
        str,
        pydantic.Field(strict=True),
        _matching(_UNIT, "a name of a unit", "write it with its type, such as backup.timer"),
    ]
    source: documents.Source | None = None
    content: documents.Text | None = None
    template: documents.Source | None = None
    enabled: documents.Flag | None = None
    state: Literal["running", "stopped"] | None = None
    restart_on: tuple[documents.Word, ...] = ()
    check: documents.Command | None = None

    @pydantic.model_validator(mode="after")
    def _has_at_most_one(self) -> Unit:
        found = [name for name in ("source", "content", "template") if getattr(self, name) is not None]
        if len(found) > 1:
            raise documents.refuse("exactly_one", "has more than one of source, content, template")
        if not found and self.enabled is None and self.state is None:
            raise documents.refuse("empty", "says nothing", "declare its content, enabled or state")
        return self


class DropIn(documents.Item, documents.Filled):
    """What is added to a unit of somebody else; the unit is restarted when it changes, where it runs."""

    unit: Annotated[
        str,
        pydantic.Field(strict=True),
        _matching(_UNIT, "a name of a unit", "write it with its type, such as nginx.service"),
    ]
    name: Snippet
    restart: documents.Flag = True


class Sysctl(documents.Item):
    """A parameter of the kernel, now and after a reboot."""

    name: Annotated[
        str,
        pydantic.Field(strict=True),
        _matching(_KEY, "a parameter of the kernel", "write it such as net.ipv4.ip_forward"),
    ]
    value: documents.Value


class KernelModule(documents.Item):
    """A module of the kernel, loaded now and after a reboot."""

    name: Annotated[
        str,
        pydantic.Field(strict=True),
        _matching(_MODULE, "a name of a module", "write it such as br_netfilter"),
    ]
    options: Line | None = None


class Mount(documents.Item):
    """A file system that is mounted, and its line in /etc/fstab."""

    path: documents.Path
    device: Line
    type: Annotated[str, _matching(_TABLE, "a type of a file system", "write it such as ext4 or nfs")]
    options: Line = "defaults"
    dump: Annotated[int, pydantic.Field(strict=True, ge=0, le=1)] = 0
    fsck: Annotated[int, pydantic.Field(strict=True, ge=0, le=2)] = 0
    state: Literal["mounted", "unmounted"] = "mounted"


class Cron(documents.Item):
    """A file in /etc/cron.d with one entry."""

    name: Snippet
    schedule: Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_schedule)]
    user: Account = "root"
    command: Line
    environment: dict[documents.Variable, documents.Value] = pydantic.Field(default_factory=dict)


class Firewall(documents.Item, documents.Filled):
    """A table of nftables that is wholly ours: its content is what stands between the table's braces."""

    name: Annotated[
        str,
        pydantic.Field(strict=True),
        _matching(_TABLE, "a name of a table", "use small letters, digits and _"),
    ]
    family: Literal["inet", "ip", "ip6", "bridge", "arp"] = "inet"
    confirm: Patience | Literal[False] = 30.0


class LineEdit(documents.Item):
    """One line in somebody else's file: it takes the place of the first that matches, else it is appended."""

    path: documents.Path
    name: documents.Name
    line: Line | None = None
    match: (
        Annotated[str, pydantic.Field(strict=True, min_length=1), pydantic.AfterValidator(_pattern)] | None
    ) = None
    state: Literal["present", "absent"] = "present"
    check: documents.Command | None = None

    @pydantic.model_validator(mode="after")
    def _makes_sense(self) -> LineEdit:
        if self.state == "present" and self.line is None:
            raise documents.refuse("line", "has no line", "write the line that should be there")
        if self.state == "absent" and (self.match is None or self.line is not None):
            raise documents.refuse(
                "match", "is absent and needs match alone", "say which line should not be there"
            )
        if self.line and self.match and not re.search(self.match, self.line):
            raise documents.refuse(
                "match", "does not match its own line", "else it would be added again and again: widen match"
            )
        return self


class Download(documents.Owned):
    """A file that the host fetches itself; it is put in its place only with this digest."""

    url: Annotated[
        str, pydantic.Field(strict=True), _matching(_URL, "a URL", "write it such as https://example.org/x")
    ]
    sha256: Annotated[str, pydantic.Field(strict=True), pydantic.AfterValidator(_digest)]


class Lists(documents.Part):
    """What a manifest's `spec` may hold about the machine itself."""

    packages: tuple[Annotated[Package, pydantic.BeforeValidator(_package)], ...] = ()
    repositories: tuple[Repository, ...] = ()
    groups: tuple[Group, ...] = ()
    users: tuple[User, ...] = ()
    authorized_keys: tuple[AuthorizedKeys, ...] = ()
    sudoers: tuple[Sudoers, ...] = ()
    units: tuple[Unit, ...] = ()
    drop_ins: tuple[DropIn, ...] = ()
    sysctl: tuple[Sysctl, ...] = ()
    kernel_modules: tuple[KernelModule, ...] = ()
    mounts: tuple[Mount, ...] = ()
    cron: tuple[Cron, ...] = ()
    firewall: tuple[Firewall, ...] = ()
    lines: tuple[LineEdit, ...] = ()
    downloads: tuple[Download, ...] = ()
    hostname: Hostname | None = None
    time_zone: Zone | None = None

    def entries(self, name: str) -> tuple[Any, ...]:
        """What a list holds; of something that there is only one of, that or nothing."""
        found = getattr(self, name)
        return found if isinstance(found, tuple) else () if found is None else (found,)
