"""The files of marks on a host that is elsewhere: read along with a look, written by one command under a lock.

What a file was when it was read is known by its digest. Whoever writes says what all files should be now; where
somebody else has written meanwhile, nothing is done but to tell what is there, and the edit is made anew. The lock and
its token are those that an agent on the host itself uses (`access`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import secrets
import socket
from collections.abc import Iterable, Mapping
from typing import Final
from urllib import parse

from undrift import errors
from undrift.lib import process
from undrift.model import resource
from undrift.providers.hosts import marks, shelf, transport
from undrift.providers.hosts.ssh import connecting, looking, saying, scripts, speech

_PATIENCE: Final = 60.0
_ATTEMPTS: Final = 10
_UNSTAMPED: Final = (0, 0, 0)

_ASK: Final = r"""
LC_ALL=C
export LC_ALL
cd "$1/" 2>/dev/null || {
    m=$(stat -- "$1/." 2>&1 >/dev/null)
    case $m in *': No such file or directory') echo gone; exit ;; *) printf '%s\n' "${m:-: Permission denied}" >&2; exit 1 ;; esac
}
for f in ./@*/*.json; do
    if [ -f "$f" ]; then now=$(sha256sum ./@*/*.json 2>&1) || { printf '%s\n' "$now" >&2; exit 1; }; fi
    break
done
[ "$now" != "$2" ] || { echo same; exit; }
echo changed
nl='
'
IFS=$nl
for line in $now; do
    case "$nl$2$nl" in
    *"$nl$line$nl"*) printf '=k %s\n' "${line#*  }" ;;
    *) printf '=c %s\n' "${line#*  }"; base64 "${line#*  }" ;;
    esac
done
"""
"""Told the state folder and what its files were (lines of digest and name): `same`, or what is another one now."""

_PREPARE: Final = (
    scripts.BEGIN
    + r"""
set -- $1
root "$1"
plain "$2"
umask 022
case $v in */*/*) m=$(mkdir -p -- "${v%/*}" 2>&1) || { printf '=f %s\n=.\n' "${m##*$nl}"; exit; } ;; esac
[ -d "$v" ] || m=$(mkdir -m 700 -- "$v" 2>&1) || { printf '=f %s\n=.\n' "${m##*$nl}"; exit; }
[ -w "$v" ] && [ -x "$v" ] || { printf '=f : Permission denied\n=.\n'; exit; }
printf '=o %s %s\n=.\n' "$(stat -c %u -- "$v")" "$(id -u)"
"""
)
"""`ROOT|STATE`: makes the state folder where it is missing, and tells whose it is."""

_WRITE: Final = (
    scripts.BEGIN
    + r"""
gone() { printf '=f %s\n=.\n' "${m##*$nl}"; exit; }
hold() {
    lock=lock best=-1
    set +f
    for f in lock.*; do
        n=${f#lock.}
        case $n in '' | *[!0-9]*) ;; *) [ "$n" -le "$best" ] || { best=$n; lock=$f; } ;; esac
    done
    set -f
    m=$( { : >>"./$lock"; } 2>&1) || gone
    chmod 600 "./$lock" 2>/dev/null
    left=100
    if command -v flock >/dev/null 2>&1; then
        exec 9<>"./$lock"
        until flock -n 9; do
            left=$((left - 1))
            [ "$left" -gt 0 ] || { printf '=b %s\n=.\n' "$(tail -c +9 "./$lock" | head -n 1)"; exit; }
            sleep 0.1
        done
    else
        until mkdir ./lock.d 2>/dev/null; do
            who=$(cat ./lock.d/pid 2>/dev/null)
            if [ -n "$who" ] && ! kill -0 "$who" 2>/dev/null; then rm -rf ./lock.d; fi
            left=$((left - 1))
            [ "$left" -gt 0 ] || { printf '=b pid %s\n=.\n' "$who"; exit; }
            sleep 0.1
        done
        trap 'rm -rf ./lock.d' EXIT
        echo $$ >./lock.d/pid
    fi
}
list() {
    now=
    set +f
    for f in ./@*/*.json; do
        [ ! -f "$f" ] || now=$(sha256sum ./@*/*.json 2>&1)
        break
    done
    set -f
}
sign() { printf '%s%-100.100s\n' "$1" "$holder" 1<>"./$lock" 2>/dev/null; }
for l do
    set -- $l
    case $1 in
    state)
        plain "$2"
        cd "$v/" 2>/dev/null || { why "$v"; gone; }
        plain "$3"
        want=${v#.}
        plain "$6"
        holder=$v
        umask 077
        hold
        list
        [ "$now" = "$want" ] || { printf '=z\n=.\n'; exit; }
        sign "$4"
        again=$5
        ;;
    t)
        [ -d "${2%/*}" ] || m=$(mkdir -- "${2%/*}" 2>&1) || gone
        { printf '%b' "$4" >"$3"; } 2>/dev/null || { m=$( { printf '%b' "$4" | cat >"$3"; } 2>&1) || { rm -f -- "$3"; gone; }; }
        ;;
    s) shift; m=$(sync -- "$@" 2>&1) || case $m in *'No space'* | *quota* | *'nput/output'*) gone ;; *) sync ;; esac ;;
    m) m=$(mv -f -- "$2" "$3" 2>&1) || gone ;;
    x) m=$(rm -f -- "$2" 2>&1) || gone ;;
    end)
        sign "$again"
        printf '=k\n=.\n'
        ;;
    esac
done
"""
)
"""`state|STATE|.WHAT THE FILES WERE|TOKEN|TOKEN|HOLDER`, then: `t` writes a temporary file, `s` makes it durable, `m` gives
it its name, `x` removes one. Told: `=k` done, `=z` the files are others, `=b` who holds the lock for long, `=f` why not."""


class Keeper:
    """The state folder of a target on a host."""

    def __init__(self, connection: connecting.Connection, root: str, state: str) -> None:
        self._connection = connection
        self._root = root
        self.state = state

    async def prepare(self) -> None:
        """Make the state folder, for us alone. The root must be there already."""
        told = await self._run(_PREPARE, [speech.line(self._root, self.state)])
        word, _, rest = told.partition(b" ")
        if word == b"=r":
            raise errors.TargetUnavailable(
                f"the target's root {self._root} is not there",
                why=speech.text(rest).removeprefix(": "),
                hint="make the folder (or mount it), or correct settings.root of the Target",
            )
        own = "set settings.state of the Target to a folder of our own"
        if word == b"=f":
            error = await self._explain(rest, "making the state folder")
            error.hint = f"{own}, or become root by settings.sudo"
            raise error
        owner, _, uid = rest.partition(b" ")
        if owner not in {uid, b"0"}:
            raise errors.TargetDenied(
                f"the state folder {self.state} belongs to somebody else",
                why=f"to uid {owner.decode()}, and we are uid {uid.decode()}",
                hint=own,
            )

    async def write(self, lines: Iterable[bytes]) -> str:
        """Write files; "" when it is done, else why not: `others` wrote meanwhile. Raises `TargetError`s."""
        told = await self._run(_WRITE, lines)
        word, _, rest = told.partition(b" ")
        if word == b"=k":
            return ""
        if word == b"=z":
            return "others"
        if word == b"=b":
            raise errors.TargetUnavailable(
                f"the marks in {self.state} are locked",
                why=f"{speech.text(rest).strip() or 'somebody'} holds them for more than 10 s",
                hint="it is tried again; look for what stopped that process",
            )
        raise await self._explain(rest, "writing marks in")

    async def ask(self, question: transport.Question) -> process.Completed:
        """The answer to a question that is asked by itself."""
        asked = looking.ask("/", {}, [question])
        told = await self._connection.run(scripts.LOOK, asked.lines, _PATIENCE)
        reader = looking.Reader(asked, (await self._connection.greeting()).who)
        reader.read(told.stdout, told.stderr)
        return reader.answers[0]

    async def _run(self, program: str, lines: Iterable[bytes]) -> bytes:
        """The first line of the answer."""
        try:
            told = await self._connection.run(program, lines, _PATIENCE)
        except connecting.Late as late:
            raise errors.TargetUnavailable(
                f"{self._connection.place} does not answer",
                why=str(late),
                hint="look at its load and its disks",
            ) from late
        if not told.stdout.rstrip().endswith(speech.END):
            raise saying.incomplete(told.stderr)
        return told.stdout.partition(b"\n")[0]

    async def _explain(self, said: bytes, doing: str) -> errors.TargetError:
        who = (await self._connection.greeting()).who
        return saying.explain(speech.text(said), self.state, doing, who)


class FarShelf(shelf.Shelf):
    """The marks of a target on a host. Others' are learned by `learn`, from the answer to `question`.

    `write` is called in a thread, as that of its parent; `loop` does the work.
    """

    def __init__(self, keeper: Keeper, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(keeper.state)
        self._keeper = keeper
        self._loop = loop
        self._digests: dict[str, str] = {}
        self._known = False
        self._one = asyncio.Lock()

    def refresh(self, keys: Iterable[marks.Key] = ()) -> None:
        """Nothing is read here: it comes with each look."""

    def question(self) -> transport.Question:
        """What tells whether others have written."""
        # Before anything was read even nothing is news.
        return transport.Question(_ASK, (self.state, self._listing() if self._known else "?"))

    def learn(self, done: process.Completed) -> bool:
        """Take in the answer; whether it said anything new. Raises `TargetError`s."""
        answer = speech.Answer(done.stdout)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace")
            raise saying.explain(said, self.state, "reading marks in", saying.Who())
        word = answer.line()
        if word == b"same":
            return False
        present: set[str] = set()
        moved = not self._known
        while answer.left:
            kind, _, found = answer.line().partition(b" ")
            name = found.decode()
            present.add(name)
            if kind == b"=c":
                self._read(name, answer.block())
                moved = True
        for name in self._digests.keys() - present:
            self._drop(name)
            moved = True
        self._known = True
        return moved

    async def look(self) -> None:
        """Take in what others have written, by a look of its own. Raises `TargetError`s."""
        self.learn(await self._keeper.ask(self.question()))

    def agents(self) -> frozenset[str]:
        """See `shelf.Shelf`: as far as they are known."""
        return frozenset(f"{self.state}/{name.split('/')[1]}" for name in self._digests)

    def write(self, edits: Mapping[marks.Key, shelf.Edit]) -> frozenset[resource.ResourceId]:
        """See `shelf.Shelf`."""
        return asyncio.run_coroutine_threadsafe(self._bring(edits), self._loop).result()

    def _read(self, name: str, lines: list[bytes]) -> None:
        try:
            content = base64.b64decode(b"".join(lines), validate=True)
        except binascii.Error:
            # It was exchanged while it was read; the next look tells.
            self._digests[name] = ""
            return
        self._keep_as(
            name, marks.read(_key(name), content, f"{self.state}/{name.removeprefix('./')}"), content
        )

    def _keep_as(self, name: str, file: marks.File, content: bytes) -> None:
        self._digests[name] = hashlib.sha256(content).hexdigest()
        with self._lock:
            self._keep(_key(name), file, _UNSTAMPED)

    def _listing(self) -> str:
        return "\n".join(
            f"{digest}  {name}"
            for name, digest in sorted(self._digests.items(), key=lambda pair: pair[0].encode())
        )

    async def _bring(self, edits: Mapping[marks.Key, shelf.Edit]) -> frozenset[resource.ResourceId]:
        async with self._one:
            for _ in range(_ATTEMPTS):
                late, files = self._files_after(edits)
                why = await self._keeper.write(self._request(files))
                if not why:
                    self._done(files)
                    return late
                await self.look()
            raise errors.TargetUnavailable(
                f"writing marks in {self.state} was given up",
                why="others write there without end",
                hint="it is tried again; how many agents work on this host?",
            )

    def _files_after(
        self, edits: Mapping[marks.Key, shelf.Edit]
    ) -> tuple[frozenset[resource.ResourceId], dict[str, tuple[marks.File, bytes]]]:
        """What is left out since others know better, and each file with its content (none: it goes)."""
        late: frozenset[resource.ResourceId] = frozenset()
        files: dict[str, tuple[marks.File, bytes]] = {}
        for key, edit in edits.items():
            file, unknown = self.after(key, edit, edits)
            late |= unknown
            files[_name(key)] = file, marks.write(key, file) if file.records or file.folders else b""
        return late, files

    def _request(self, files: Mapping[str, tuple[marks.File, bytes]]) -> Iterable[bytes]:
        holder = f"pid {os.getpid()} on {socket.gethostname()}, over SSH"
        tokens = (secrets.token_hex(4), secrets.token_hex(4))
        yield speech.line("state", self.state, f".{self._listing()}", *tokens, holder)
        written = {name: _temporary(name) for name, (_, content) in files.items() if content}
        for name, temporary in written.items():
            yield speech.line("t", name, temporary, files[name][1])
        if written:
            yield speech.line("s", *written.values())
        for name, temporary in written.items():
            yield speech.line("m", temporary, name)
        for name in files.keys() - written.keys():
            yield speech.line("x", name)
        if written:
            yield speech.line("s", *{name.rpartition("/")[0] for name in written})

    def _done(self, files: Mapping[str, tuple[marks.File, bytes]]) -> None:
        for name, (file, content) in files.items():
            if content:
                self._keep_as(name, file, content)
                continue
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._digests.pop(name, None)
        with self._lock:
            self._forget(_key(name))


def _name(key: marks.Key) -> str:
    agent, application = (parse.quote(part, safe="").replace(".", "%2E") for part in key)
    return f"./@{agent}/{application}.json"


def _key(name: str) -> marks.Key:
    _, agent, file = name.split("/", 2)
    return parse.unquote(agent.removeprefix("@")), parse.unquote(file.removesuffix(".json"))


def _temporary(name: str) -> str:
    above, _, last = name.rpartition("/")
    return f"{above}/.{last}.new"
