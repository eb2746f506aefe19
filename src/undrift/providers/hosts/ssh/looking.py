"""The request of a look, and what its answer says: pure. One request holds any number of paths and questions."""

from __future__ import annotations

import base64
import binascii
import collections
import dataclasses
import posixpath
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from undrift import errors
from undrift.lib import process
from undrift.providers.hosts import local, transport
from undrift.providers.hosts.ssh import saying, speech

_AT_ONCE: Final = 200
"""Names that one tool is given at a time."""
_FIELDS: Final = 6
_DIGEST: Final = re.compile(rb"\\?([0-9a-f]{64})(?:  | \*|$)")
_ABSENT: Final = (b": No such file or directory", b": Not a directory", b": File name too long")
_NEEDS_DIGEST: Final = transport.Need.DIGEST
Errors = Mapping[str, errors.TargetError]


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Names in one folder. Below `/` everything is one group: there nothing can lead out."""

    folder: str
    names: tuple[str, ...]

    def path(self, name: str) -> str:
        """The path of a name."""
        return posixpath.join(self.folder, "" if name == "." else name)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A look as it is sent; `groups` and `nonce` are needed to understand the answer."""

    wanted: Mapping[str, transport.Need]
    questions: Sequence[transport.Question]
    groups: tuple[Group, ...]
    nonce: str
    lines: tuple[bytes, ...] = dataclasses.field(repr=False)


def ask(
    root: str, wanted: Mapping[str, transport.Need], questions: Sequence[transport.Question] = ()
) -> Request:
    """The request for what is wanted."""
    groups = tuple(_groups(root, wanted))
    nonce = secrets.token_hex(16)
    lines = [speech.line("root", root)]
    for number, group in enumerate(groups):
        lines += _look(number, group, wanted)
    for number, question in enumerate(questions):
        words = (f".{word}" for word in question.words)
        lines.append(speech.line("q", nonce, str(number), question.script, *words))
    return Request(wanted, questions, groups, nonce, tuple(lines))


def _groups(root: str, wanted: Mapping[str, transport.Need]) -> Iterator[Group]:
    by_folder: dict[str, list[str]] = collections.defaultdict(list)
    for path in wanted:
        if root == "/":
            by_folder["/"].append(path.strip("/") or ".")
        else:
            above, name = posixpath.split(path)
            by_folder[above].append(name or ".")
    for folder, names in by_folder.items():
        for at in range(0, len(names), _AT_ONCE):
            yield Group(folder, tuple(names[at : at + _AT_ONCE]))


def _look(number: int, group: Group, wanted: Mapping[str, transport.Need]) -> Iterator[bytes]:
    plain = [name for name in group.names if speech.is_plain(name)]
    need = {name: wanted[group.path(name)] for name in group.names}
    yield speech.line("g", str(number), group.folder, *(f"./{name}" for name in plain))
    digests = [
        f"./{name}"
        for name in plain
        if need[name] & _NEEDS_DIGEST and not need[name] & transport.Need.CONTENT
    ]
    if digests:
        yield speech.line("d", *digests)
    for name in group.names:
        if name not in plain:
            how = "digest" if need[name] & _NEEDS_DIGEST else "-"
            yield speech.line("o", f"./{name}", how)
    for letter, asked in (("c", transport.Need.CONTENT), ("e", transport.Need.ENTRIES)):
        names = [f"./{name}" for name in group.names if need[name] & asked]
        if names:
            yield speech.line(letter, *names)


@dataclasses.dataclass(slots=True)
class _Found:
    """What an answer said, before it is put together."""

    lines: dict[str, bytes] = dataclasses.field(default_factory=dict)
    absent: int = 0
    links: dict[str, str] = dataclasses.field(default_factory=dict)
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    contents: dict[str, bytes] = dataclasses.field(default_factory=dict)
    entries: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    wrong: dict[str, errors.TargetError] = dataclasses.field(default_factory=dict)


class Reader:
    """Reads the answer to a request: `seen` and `wrong` by path, `answers` to questions in their order."""

    def __init__(self, asked: Request, who: saying.Who) -> None:
        self._asked = asked
        self._who = who
        self.seen: dict[str, transport.Seen] = {}
        self.wrong: dict[str, errors.TargetError] = {}
        self.answers: list[process.Completed] = []

    def read(self, stdout: bytes, stderr: bytes) -> None:
        """Understand an answer. Raises `TargetUnavailable` for one that has no end, or is none."""
        if not stdout.endswith(speech.END + b"\n"):
            raise saying.incomplete(stderr)
        answer = speech.Answer(stdout)
        said = _by_question(stderr, self._asked)
        group, found = Group("/", ()), _Found()
        begun = 0
        while answer.left:
            word, _, rest = answer.line().partition(b" ")
            match word:
                case b"=r":
                    raise errors.TargetUnavailable(
                        "the target's root cannot be opened",
                        why=speech.text(rest).removeprefix(": "),
                        hint="make the folder (or mount it), or correct settings.root of the Target",
                    )
                case b"=g" | b"=n" | b"=x":
                    self._settle(group, found)
                    number, _, rest = rest.partition(b" ")
                    group, found = self._asked.groups[int(number)], _Found()
                    begun += 1
                    self._begin(word, rest, group, found, answer)
                case b"=q":
                    self._answer(int(rest), answer, said)
                case _:
                    self._tell(word, _name(rest), found, answer)
        self._settle(group, found)
        # A look that is not whole must not be taken for one that found nothing.
        if (begun, len(self.answers)) != (len(self._asked.groups), len(self._asked.questions)):
            raise saying.incomplete(stderr)

    def _begin(self, word: bytes, rest: bytes, group: Group, found: _Found, answer: speech.Answer) -> None:
        """A group begins; where its folder cannot be entered, it ends at once."""
        if word == b"=g":
            for line in answer.block():
                if _is_absent(line):
                    found.absent += 1
                    continue
                parts = line.split(b":", _FIELDS)
                if len(parts) == _FIELDS + 1:
                    found.lines[_name(parts[_FIELDS])] = line
                else:
                    self._trouble(group, line)
        elif word == b"=x":
            for name in group.names:
                self.wrong[group.path(name)] = saying.escapes(group.folder, speech.text(rest))
        elif not _is_absent(rest):
            self._trouble(group, rest)

    def _trouble(self, group: Group, line: bytes) -> None:
        """A tool complained: of the path that it names, or of who knows what in the group."""
        said = speech.text(line)
        named = [name for name in group.names if _names(said, name)]
        for name in named or group.names:
            path = group.path(name)
            self.wrong[path] = saying.explain(said, path, "looking at", self._who)

    def _tell(self, word: bytes, name: str, found: _Found, answer: speech.Answer) -> None:
        match word:
            case b"=l":
                found.links[name] = speech.text(answer.until(b"\0\n"))
            case b"=d":
                for line in answer.block():
                    self._digest(line, found)
            case b"=s":
                [line, *_] = [*answer.block(), b""]
                self._digest(line, found, name)
            case b"=o":
                self._odd(name, answer, found)
            case b"=c":
                lines = answer.block()
                try:
                    found.contents[name] = base64.b64decode(b"".join(lines), validate=True)
                except binascii.Error:
                    self._complain(lines[-1] if lines else b"", found, name)
            case b"=e":
                found.entries[name] = _entries(answer)
            case _ if word.startswith(b"=!"):
                name = _name(word[2:])
                found.wrong[name] = saying.explain(": Permission denied", name, "looking at", self._who)

    def _digest(self, line: bytes, found: _Found, name: str = "") -> None:
        if (digest := _DIGEST.match(line)) is not None:
            found.digests[name or _name(line[digest.end() :])] = f"sha256:{digest[1].decode()}"
        else:
            self._complain(line, found, name)

    def _odd(self, name: str, answer: speech.Answer, found: _Found) -> None:
        """What there is at a name that tools do not print as it is."""
        [line, *_] = [*answer.block(), b""]
        if _is_absent(line):
            found.absent += 1
        elif line.count(b":") == _FIELDS:
            found.lines[name] = line
        else:
            self._complain(line, found, name)

    def _complain(self, line: bytes, found: _Found, name: str = "") -> None:
        """A tool said something of a name; that it is gone meanwhile leaves it unclear, which is said later."""
        said = speech.text(line)
        named = name or next((one for one in found.lines if _names(said, one)), "")
        if named and not _is_absent(line):
            found.wrong[named] = saying.explain(said, named, "looking at", self._who)

    def _settle(self, group: Group, found: _Found) -> None:
        """All of a group is told: put together what there is at each name."""
        for name, line in found.lines.items():
            path = group.path(name)
            try:
                self.seen[path] = _seen(name, line, self._asked.wanted[path], found)
            except errors.TargetError as error:
                error.about = error.about or path
                self.wrong[path] = error
        for name, wrong in found.wrong.items():
            wrong.about = group.path(name)
            self.wrong.setdefault(group.path(name), wrong)
        told = len(found.lines) + found.absent
        if found.lines and told < len(group.names):
            for name in group.names:
                if name not in found.lines:
                    self.wrong.setdefault(group.path(name), saying.unclear(group.path(name)))

    def _answer(self, number: int, answer: speech.Answer, said: Mapping[int, bytes]) -> None:
        written = b"".join(answer.block())
        _, _, code = answer.line().partition(b" ")
        self.answers.append(
            process.Completed(
                int(code) if code.isdigit() else 1, base64.b64decode(written), said.get(number, b"")
            )
        )


def _seen(name: str, line: bytes, need: transport.Need, found: _Found) -> transport.Seen:
    mode, _, _, size, owner, group, _ = line.split(b":", _FIELDS)
    uid, gid = line.split(b":", 3)[1:3]
    bits = int(mode, 16)
    sort = _sort(bits)
    digest, content = "", found.contents.get(name)
    if sort is transport.Sort.FILE and need & transport.Need.CONTENT:
        if content is None:
            raise saying.unclear(name)
        digest = local.name_content(content)
    elif sort is transport.Sort.FILE and need & transport.Need.DIGEST:
        digest = found.digests.get(name, "")
        if not digest:
            raise found.wrong.get(name) or saying.unclear(name)
    if sort is transport.Sort.DIRECTORY and need & transport.Need.ENTRIES and name not in found.entries:
        raise found.wrong.get(name) or saying.unclear(name)
    return transport.Seen(
        sort,
        stat.S_IMODE(bits),
        _who(owner, uid),
        _who(group, gid),
        int(size),
        found.links.get(name, "") if sort is transport.Sort.LINK else "",
        digest,
        content,
        found.entries.get(name, ()),
    )


def _sort(mode: int) -> transport.Sort:
    if stat.S_ISREG(mode):
        return transport.Sort.FILE
    if stat.S_ISDIR(mode):
        return transport.Sort.DIRECTORY
    return transport.Sort.LINK if stat.S_ISLNK(mode) else transport.Sort.OTHER


def _who(name: bytes, number: bytes) -> str:
    """Tools write UNKNOWN where a number has no name."""
    return speech.text(number if name == b"UNKNOWN" or not name else name)


def _names(said: str, name: str) -> bool:
    """Whether a tool speaks of this name."""
    return f"'./{name}'" in said or f" ./{name}:" in said


def _entries(answer: speech.Answer) -> tuple[str, ...]:
    found = []
    while name := answer.until(b"\0"):
        found.append(speech.text(name))
    answer.line()
    return tuple(sorted(found))


def _by_question(stderr: bytes, asked: Request) -> Mapping[int, bytes]:
    """What each question's program wrote to its standard error."""
    found: dict[int, bytes] = {}
    for part in stderr.split(asked.nonce.encode() + b" ")[1:]:
        number, _, rest = part.partition(b"\n")
        found[int(number)] = rest
    return found


def _is_absent(line: bytes) -> bool:
    return line.endswith(_ABSENT)


_ESCAPE: Final = re.compile(rb"\\0([0-7]{3})")


def _name(written: bytes) -> str:
    """A name as an answer writes it: as the tool prints it, or as it was asked for."""
    plain = _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), written)
    return speech.text(plain.removeprefix(b"./"))
