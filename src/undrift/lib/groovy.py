"""Reading values out of Groovy source, without running it: literals of maps, lists, texts and numbers.

What has to be computed stays an `Expression`; a text with `${…}` in it is a `Text`. The grammar is that part of
Apache Groovy's (https://groovy-lang.org/syntax.html) in which configuration is written.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_OPEN: Final = {"[": "]", "(": ")", "{": "}"}
_JOINS: Final = frozenset("+-*/?:.&|=<>,%")
_WORDS: Final = {"true": True, "false": False, "null": None}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "s": " "}
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/|\#![^\n]*)
    |(?P<quote>'''|\"\"\"|'|")
    |(?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?[gGlLiIdDfF]?)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_FILLED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_DEFINED: Final = re.compile(r"(?:final|static|def|var|String|Map|List|Object|int|boolean)\Z")
_DEEPEST: Final = 50


class GroovyError(ValueError):
    """Source that cannot be read: the line (from 1) and what is wrong there."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclasses.dataclass(frozen=True, slots=True)
class Expression:
    """Something that only a run of the program could tell."""

    source: str


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A text in which some parts are expressions."""

    parts: tuple[str | Expression, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    value: Any
    start: int
    end: int
    line: int


def definitions(source: str) -> dict[str, Any]:
    """Variables and what each is given where it is given a value for the first time: `def name = value`."""
    reader = _Reader(source)
    found: dict[str, Any] = {}
    for at, token in enumerate(reader.tokens[:-2]):
        follows = [one.value for one in reader.tokens[at + 1 : at + 3]]
        before = reader.tokens[at - 1] if at else None
        begins = (
            before is None
            or before.line < token.line
            or before.value in {";", "{", "}"}
            or _DEFINED.match(str(before.value))
        )
        if token.kind == "word" and begins and follows[0] == "=" and follows[1] != "=":
            found.setdefault(token.value, reader.value(at + 2))
    return found


def argument(source: str, name: str) -> tuple[Any, int] | None:
    """What the function `name` is called with first, and the line of that call; None where nobody calls it.

    Named arguments are a map. Raises `GroovyError`.
    """
    reader = _Reader(source)
    for at, token in enumerate(reader.tokens[:-1]):
        before, after = reader.tokens[at - 1] if at else None, reader.tokens[at + 1]
        if token.value != name or token.kind != "word" or (before and before.value in {".", "def"}):
            continue
        if after.value == "(" and after.kind == "sign":
            return reader.collection(at + 2, reader.closing(at + 1), one=True), token.line
        if after.line == token.line and (after.kind != "sign" or after.value == "["):
            return reader.collection(at + 1, reader.ending(at + 1), one=True), token.line
    return None


def resolved(value: Any, known: Mapping[str, Any], depth: int = 0) -> Any:
    """A value in which the names of `known` variables are what those hold."""
    if depth > _DEEPEST:
        return value
    if isinstance(value, Expression):
        return resolved(known[value.source], known, depth + 1) if value.source in known else value
    if isinstance(value, Text):
        return joined([resolved(part, known, depth + 1) for part in value.parts])
    if isinstance(value, Mapping):
        return {key: resolved(item, known, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, known, depth + 1) for item in value]
    return value


def joined(parts: Sequence[Any]) -> Any:
    """Pieces as one text: a plain one where all of them are known."""
    flat: list[str | Expression] = []
    for part in parts:
        for piece in part.parts if isinstance(part, Text) else [part]:
            one = piece if isinstance(piece, str | Expression) else _spelled(piece)
            if flat and isinstance(one, str) and isinstance(flat[-1], str):
                flat[-1] += one
            else:
                flat.append(one)
    known = [one for one in flat if isinstance(one, str)]
    return "".join(known) if len(known) == len(flat) else Text(tuple(flat))


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)


class _Reader:
    """The tokens of a source, and values made of them. `at` and `end` count tokens."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.tokens = list(_tokens(source))

    def value(self, at: int) -> Any:
        """The value of the expression that begins here and ends with its line."""
        return self._made(at, self._end(at, inside=False))

    def ending(self, at: int) -> int:
        """Where arguments without brackets end: a line that ends with a comma goes on."""
        end = self._end(at, inside=False)
        while end < len(self.tokens) and self.tokens[end].value == "," and self.tokens[end].kind == "sign":
            end = self._end(end + 1, inside=False)
        return end

    def closing(self, at: int) -> int:
        """The bracket that closes the one here. Raises `GroovyError`."""
        awaited: list[str] = []
        for place in range(at, len(self.tokens)):
            token = self.tokens[place]
            if token.kind == "sign" and token.value in _OPEN:
                awaited.append(_OPEN[token.value])
            elif token.kind == "sign" and awaited and token.value == awaited[-1]:
                awaited.pop()
                if not awaited:
                    return place
        raise GroovyError(self.tokens[at].line, f"{self.tokens[at].value} is never closed")

    def collection(self, at: int, end: int, *, one: bool = False) -> Any:
        """A map where its entries have keys, else a list. With `one` a list is its first entry: an argument."""
        entries: dict[str, Any] = {}
        items: list[Any] = []
        if end == at + 1 and self.tokens[at].value == ":":
            return {}
        while at < end:
            stop = min(self._end(at, inside=True), end)
            key, place = self._key(at, stop)
            if key is None:
                items.append(self._made(at, stop))
            else:
                entries[key] = self._made(place, stop)
            at = stop + 1
        if one:
            return items[0] if items else entries
        return entries or items

    def _key(self, at: int, end: int) -> tuple[str | None, int]:
        """The key of an entry and where its value begins; None where it has none."""
        token = self.tokens[at]
        if token.value == "(" and token.kind == "sign":
            close = self.closing(at)
            if close + 1 < end and self.tokens[close + 1].value == ":":
                return self._text(at + 1, close), close + 2
        colon = at + 1 < end and self.tokens[at + 1].kind == "sign" and self.tokens[at + 1].value == ":"
        if colon and token.kind in {"word", "text", "number"}:
            return token.value if isinstance(token.value, str) else self._text(at, at + 1), at + 2
        return None, at

    def _end(self, at: int, *, inside: bool) -> int:
        """Where an expression ends: before a comma or a closing bracket; outside of brackets with its line."""
        place = at
        while place < len(self.tokens):
            token = self.tokens[place]
            sign = token.value if token.kind == "sign" else ""
            if sign and sign in ",)]};" and (place > at or sign != ","):
                return place
            if not inside and place > at and token.line > self.tokens[place - 1].line:
                before = self.tokens[place - 1]
                joins = sign in {".", "+", "?"} or (before.kind == "sign" and before.value in _JOINS)
                if not joins:
                    return place
            place = self.closing(place) + 1 if sign in _OPEN else place + 1
        return place

    def _made(self, at: int, end: int) -> Any:
        if at >= end:
            return None
        first = self.tokens[at]
        if end == at + 1:
            if first.kind == "word":
                return _WORDS.get(first.value, Expression(first.value))
            return first.value
        if first.kind == "sign" and first.value in "[(" and self.closing(at) == end - 1:
            return self.collection(at + 1, end - 1) if first.value == "[" else self._made(at + 1, end - 1)
        pieces = [self._made(*piece) for piece in self._pieces(at, end)]
        if len(pieces) > 1 and any(isinstance(piece, str | Text) for piece in pieces):
            return joined(pieces)
        return Expression(self._text(at, end))

    def _pieces(self, at: int, end: int) -> list[tuple[int, int]]:
        """What stands between plus signs."""
        found, place, start = [], at, at
        while place < end:
            token = self.tokens[place]
            if token.kind == "sign" and token.value in _OPEN:
                place = self.closing(place)
            elif token.kind == "sign" and token.value == "+" and start < place:
                found.append((start, place))
                start = place + 1
            elif token.kind == "sign" and token.value in "?:<>=":
                return []
            place += 1
        return [*found, (start, end)] if found else []

    def _text(self, at: int, end: int) -> str:
        return " ".join(self._source[self.tokens[at].start : self.tokens[end - 1].end].split())


def _tokens(source: str) -> Iterator[_Token]:
    at, line = 0, 1
    before = ""
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None or match.lastgroup is None:
            raise GroovyError(line, "cannot be read")
        kind, end = match.lastgroup, match.end()
        value: Any = match[0]
        if kind == "quote":
            kind, (value, end) = "text", _quoted(source, end, match[0], line)
        elif kind == "sign" and value == "/" and before not in {"word", "number", "text", "close"}:
            kind, (value, end) = "text", _quoted(source, end, "/", line)
        elif kind == "number":
            value = _number(value)
        if kind != "space":
            yield _Token(kind, value, at, end, line)
            before = "close" if kind == "sign" and value in ")]}" else kind
        line += source.count("\n", at, end)
        at = end


def _number(text: str) -> int | float:
    digits = text.rstrip("gGlLiIdDfF").replace("_", "")
    return float(digits) if set(digits) & set(".eE") else int(digits)


def _quoted(source: str, at: int, quote: str, line: int) -> tuple[Any, int]:
    """The text that begins after its quote, and where it ends."""
    parts: list[str | Expression] = [""]
    filled = quote[0] in '"/'
    while not source.startswith(quote, at):
        if at >= len(source) or (len(quote) == 1 and quote != "/" and source[at] == "\n"):
            raise GroovyError(line, f"the text that begins with {quote} has no end")
        piece: str | Expression
        if source[at] == "\\":
            piece, at = _escaped(source, at, quote)
        elif source[at] == "$" and filled and (found := _filled(source, at, line)):
            piece, at = found
        else:
            piece, at = source[at], at + 1
        parts.append(piece)
    return joined(parts), at + len(quote)


def _escaped(source: str, at: int, quote: str) -> tuple[str, int]:
    follows = source[at + 1 : at + 2]
    if quote == "/":
        return ("/", at + 2) if follows == "/" else ("\\", at + 1)
    if follows == "\n":
        return "", at + 2
    return _ESCAPES.get(follows, follows), at + 2


def _filled(source: str, at: int, line: int) -> tuple[Expression, int] | None:
    """`${…}` or `$name` in a text."""
    if source.startswith("${", at):
        depth = 0
        for place in range(at + 1, len(source)):
            depth += {"{": 1, "}": -1}.get(source[place], 0)
            if not depth:
                return Expression(" ".join(source[at + 2 : place].split())), place + 1
        raise GroovyError(line, "${ is never closed")
    match = _FILLED.match(source, at + 1)
    return (Expression(match[0]), match.end()) if match else None
