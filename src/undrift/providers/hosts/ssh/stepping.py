"""The request that carries out steps, and what its answer says: pure. Steps of several callers go in one request.

Steps that follow one another in the same folder are a run: their temporary files are written first, then owners,
modes and durability are seen to for all of them at once, and then each gets its name, in order.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import posixpath
from collections.abc import Iterator, Sequence
from typing import Final

from undrift import errors
from undrift.providers.hosts import transport
from undrift.providers.hosts.ssh import saying, speech

_AT_ONCE: Final = 200
_USUAL_FILE: Final = 0o644
_USUAL_DIRECTORY: Final = 0o755
_PLAIN_FILE: Final = 0o666
_ALL: Final = 0o777
_DOING: Final = {
    transport.Write: "writing",
    transport.MakeDirectory: "making the directory",
    transport.MakeLink: "making the link",
    transport.Alter: "setting mode or owner of",
    transport.Remove: "removing",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Uploaded:
    """A `Write` whose temporary file is there already, and complete."""

    write: transport.Write

    @property
    def path(self) -> str:
        """Where it goes."""
        return self.write.path


@dataclasses.dataclass(frozen=True, slots=True)
class Parents:
    """Only the folder that `path` is in is made."""

    path: str


Step = transport.Step | Uploaded | Parents


@dataclasses.dataclass(frozen=True, slots=True)
class _Placed:
    """A step of a caller: whose it is, its number there, its name in its folder."""

    caller: str
    number: str
    name: str
    step: Step

    def line(self, word: str, *more: str | bytes, name: str = "") -> bytes:
        return speech.line(word, self.caller, self.number, name or self.name, *more)

    @property
    def temporary(self) -> str:
        return transport.unfinished(self.name)


@dataclasses.dataclass(slots=True)
class _Run:
    """Steps in one folder, which is made where it is missing (`makes`)."""

    folder: str
    makes: bool
    steps: list[_Placed] = dataclasses.field(default_factory=list)
    ends: list[str] = dataclasses.field(default_factory=list)


def ask(root: str, callers: Sequence[Sequence[Step]]) -> list[bytes]:
    """The lines of a request that carries out the steps of each caller."""
    lines = [speech.line("root", root)]
    for run in _runs(callers):
        pairs = [word for one in run.steps for word in (one.caller, one.number)]
        lines.append(speech.line("make" if run.makes else "keep", run.folder, *pairs))
        lines += _prepare(run)
        for one in run.steps:
            lines += _finish(one)
        temporaries = [one.temporary for one in run.steps if isinstance(one.step, _TEMPORARY)]
        if temporaries:
            lines.append(speech.line("tidy", *(f"./{name}" for name in temporaries)))
        lines.append(b"durable")
        lines += (speech.line("done", caller) for caller in run.ends)
    return lines


_TEMPORARY: Final = (transport.Write, transport.MakeLink, Uploaded)


def _runs(callers: Sequence[Sequence[Step]]) -> Iterator[_Run]:
    run: _Run | None = None
    names: set[str] = set()
    for caller, steps in enumerate(callers):
        for number, step in enumerate(steps):
            folder, name = posixpath.split(step.path)
            makes = not isinstance(step, transport.Alter | transport.Remove)
            fits = run is not None and (run.folder, run.makes) == (folder, makes)
            if run is None or not fits or name in names or len(run.steps) >= _AT_ONCE:
                if run is not None:
                    yield run
                run, names = _Run(folder, makes), set()
            names |= {name, transport.unfinished(name)}
            run.steps.append(_Placed(str(caller), str(number), name or ".", step))
        if run is not None:
            run.ends.append(str(caller))
    if run is not None:
        yield run


def _prepare(run: _Run) -> Iterator[bytes]:
    """Write what is temporary, and make all of it as it should be."""
    files = [one for one in run.steps if isinstance(one.step, transport.Write | Uploaded)]
    for one in run.steps:
        yield from _begin(one)
    yield from _own(files)
    yield from _modes(files)
    if files:
        yield from _many("S", "s", "-", files)


def _begin(one: _Placed) -> Iterator[bytes]:
    """Write a temporary file, readable for nobody who may not read the file itself."""
    step = one.step
    if isinstance(step, transport.MakeLink) and step.replace:
        yield one.line("y", step.points_to, name=one.temporary)
    if isinstance(step, transport.Write):
        how, field = speech.content(step.content) or ("b", b"." + base64.b64encode(step.content))
        yield one.line("t", f"{_ALL & ~_mode(step):04o}", how, name=one.temporary) + b"|" + field


def _own(files: Sequence[_Placed]) -> Iterator[bytes]:
    """Owner and group as declared; where nothing is, those of the file that is replaced."""
    owners: dict[str, list[_Placed]] = collections.defaultdict(list)
    keeps: list[bytes] = []
    for one in files:
        write = _write(one)
        if who := _who(write.attributes):
            owners[who].append(one)
        kept = ("" if write.attributes.owner else "u") + ("" if write.attributes.group else "g")
        if write.replace and kept:
            keeps.append(one.line("k", one.name, kept, name=one.temporary))
    for who, several in owners.items():
        yield from _many("C", "c", who, several)
    yield from keeps


def _modes(files: Sequence[_Placed]) -> Iterator[bytes]:
    """Modes that a new file does not come with."""
    modes: dict[str, list[_Placed]] = collections.defaultdict(list)
    for one in files:
        mode = _mode(_write(one))
        if mode & ~_PLAIN_FILE or isinstance(one.step, Uploaded):
            modes[f"{mode:04o}"].append(one)
    for mode_text, several in modes.items():
        yield from _many("H", "h", mode_text, several)


def _write(one: _Placed) -> transport.Write:
    step = one.step.write if isinstance(one.step, Uploaded) else one.step
    if not isinstance(step, transport.Write):
        raise errors.InternalError(f"{type(step).__name__} writes no file")
    return step


def _mode(write: transport.Write) -> int:
    return _USUAL_FILE if write.attributes.mode is None else write.attributes.mode


def _many(word: str, single: str, value: str, several: Sequence[_Placed]) -> Iterator[bytes]:
    """One thing for many temporary files; where that fails, one by one."""
    yield speech.line(word, value, *(f"./{one.temporary}" for one in several))
    for one in several:
        yield speech.line("again", single, one.caller, one.number, one.temporary, value)


def _finish(one: _Placed) -> Iterator[bytes]:
    match one.step:
        case transport.Write(replace=replace) | Uploaded(transport.Write(replace=replace)):
            yield one.line("r" if replace else "n", one.name, name=one.temporary)
        case transport.MakeLink(replace=True):
            yield one.line("r", one.name, name=one.temporary)
        case transport.MakeLink(points_to=points_to):
            yield one.line("l", points_to)
        case transport.MakeDirectory(attributes=attributes):
            mode = _USUAL_DIRECTORY if attributes.mode is None else attributes.mode
            yield one.line("d", f"{_ALL & ~mode:04o}")
            yield from _attributes(one, dataclasses.replace(attributes, mode=mode if mode & ~_ALL else None))
        case transport.Alter(attributes=attributes):
            yield one.line("i")
            yield from _attributes(one, attributes)
        case transport.Remove(sort=transport.Sort.DIRECTORY):
            yield one.line("X")
        case transport.Remove():
            yield one.line("x", one.temporary)
        case _:
            return


def _attributes(one: _Placed, attributes: transport.Attributes) -> Iterator[bytes]:
    if who := _who(attributes):
        yield one.line("c", who)
    if attributes.mode is not None:
        yield one.line("h", f"{attributes.mode:04o}")


def _who(attributes: transport.Attributes) -> str:
    """Owner and group as `chown` reads them; "" for as it comes."""
    owner, group = attributes.owner or "", attributes.group or ""
    return f"{owner}:{group}" if group else owner


class Outcome:
    """What became of each caller's steps: folders that were `made` on the way, `errors`, and who is `done`."""

    def __init__(self, callers: Sequence[Sequence[Step]], who: saying.Who) -> None:
        self._callers = callers
        self._who = who
        self.made: dict[int, list[str]] = collections.defaultdict(list)
        self.errors: dict[int, errors.TargetError] = {}
        self.done: set[int] = set()
        self.refused: errors.TargetError | None = None

    def read(self, stdout: bytes) -> bool:
        """Understand an answer, or as much of it as there is; whether it came to its end."""
        answer = speech.Answer(stdout[: stdout.rfind(b"\n") + 1])
        complete = False
        while answer.left:
            word, _, rest = answer.line().partition(b" ")
            match word:
                case b"=m":
                    caller, _, path = rest.partition(b" ")
                    while not path.endswith(b"\0") and answer.left:
                        path += b"\n" + answer.line()
                    self.made[int(caller)].append(speech.text(path.rstrip(b"\0")))
                case b"=f":
                    caller, _, rest = rest.partition(b" ")
                    number, _, said = rest.partition(b" ")
                    self._failed(int(caller), int(number), speech.text(said))
                case b"=k":
                    self.done.add(int(rest))
                case b"=r":
                    self.refused = errors.TargetUnavailable(
                        "the target's root cannot be opened",
                        why=speech.text(rest).removeprefix(": "),
                        hint="make the folder (or mount it), or correct settings.root of the Target",
                    )
                case b"=.":
                    complete = True
        return complete

    def _failed(self, caller: int, number: int, said: str) -> None:
        step = self._callers[caller][number]
        if said.startswith("escapes "):
            above = posixpath.dirname(step.path)
            self.errors[caller] = saying.escapes(above, said.removeprefix("escapes "))
            return
        if said.startswith("dangles "):
            self.errors[caller] = saying.dangles(step.path, said.removeprefix("dangles "))
            return
        doing = _DOING.get(type(step), "writing")
        error = saying.explain(said, step.path, doing, self._who)
        self.errors[caller] = error
