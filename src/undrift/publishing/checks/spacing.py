"""Rules about space between the signs of YAML: indentation, comments, brackets, colons (see `styling`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

Options = Mapping[str, Any]
Problem = tuple[int, int, str]
"""Line and column (from 1), and what."""
_BLOCK_STARTS: Final = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken)
_FLOW_STARTS: Final = (yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken)
_FLOW_ENDS: Final = (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_IN_FLOW: Final = -1
_TOP: Final = -2


class Page:
    """A file as lines and as tokens; of a file that is no YAML, the tokens before that place."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        if self.lines[-1] == "" and len(self.lines) > 1:
            self.lines.pop()
        self.tokens: list[Any] = []
        try:
            for token in yaml.scan(text, Loader=yaml.CSafeLoader):
                self.tokens.append(token)
        except yaml.YAMLError:
            return

    def comments(self) -> Iterator[tuple[int, int, str]]:
        """Comments: line and column from 0, and their text. What is inside of scalars is none."""
        inside = self._scalars()
        for number, line in enumerate(self.lines):
            for found in re.finditer(r"(?:(?<=\s)|^)#", line):
                if not any(start <= (number, found.start()) < end for start, end in inside.get(number, ())):
                    yield number, found.start(), line[found.start() :].rstrip("\r")
                    break

    def _scalars(self) -> dict[int, list[tuple[tuple[int, int], tuple[int, int]]]]:
        found: dict[int, list[tuple[tuple[int, int], tuple[int, int]]]] = {}
        for token in self.tokens:
            if isinstance(token, yaml.ScalarToken):
                start, end = token.start_mark, token.end_mark
                first = start.line + 1 if token.style in {"|", ">"} else start.line
                begin = (first, 0) if token.style in {"|", ">"} else (start.line, start.column)
                for line in range(first, end.line + 1):
                    found.setdefault(line, []).append((begin, (end.line, end.column)))
        return found


def comments(page: Page, options: Options) -> Iterator[Problem]:
    """A space after `#`, and two before it beside content."""
    least = int(options.get("min-spaces-from-content", 2))
    for line, column, text in page.comments():
        before = page.lines[line][:column]
        if before.strip() and least >= 0 and len(before) - len(before.rstrip(" ")) < least:
            yield line + 1, column + 1, f"too few spaces before comment: expected {least}"
        body = text.lstrip("#")
        shebang = options.get("ignore-shebangs", True) and line == 0 and column == 0 and text.startswith("#!")
        if options.get("require-starting-space", True) and body and not body.startswith(" ") and not shebang:
            yield line + 1, column + 1 + len(text) - len(body), "missing starting space in comment"


def comments_indentation(page: Page, _: Options) -> Iterator[Problem]:
    """A comment stands as its neighbours do: as the content that follows, or as what stood before."""
    alone = {line: column for line, column, _ in page.comments() if not page.lines[line][:column].strip()}
    for line, column in sorted(alone.items()):
        after = next(
            (one for one in page.lines[line + 1 :] if one.strip() and not one.lstrip().startswith("#")), ""
        )
        next_column = len(after) - len(after.lstrip(" "))
        before = [
            (number, one)
            for number, one in enumerate(page.lines[:line])
            if one.strip() and number not in alone
        ]
        last = len(before[-1][1]) - len(before[-1][1].lstrip(" ")) if before else 0
        allowed = {next_column, max(last, next_column)}
        if line - 1 in alone and column == alone[line - 1]:
            continue
        if column not in allowed:
            yield line + 1, column + 1, "comment not indented like content"


def indentation(page: Page, options: Options) -> Iterator[Problem]:
    """Each level of blocks by the same number of spaces; sequences in mappings by it, too, or not at all."""
    ruler = _Ruler(options)
    levels: list[tuple[int, bool]] = []
    for before, token in zip([None, *page.tokens], page.tokens, strict=False):
        if isinstance(token, (yaml.BlockEndToken, *_FLOW_ENDS)) and levels:
            levels.pop()
        elif isinstance(token, _FLOW_STARTS):
            levels.append((_IN_FLOW, False))
        elif isinstance(token, _BLOCK_STARTS) or (
            isinstance(token, yaml.BlockEntryToken) and isinstance(before, yaml.ValueToken)
        ):
            line, column = token.start_mark.line, token.start_mark.column
            sequence = not isinstance(token, yaml.BlockMappingStartToken)
            above, in_sequence = levels[-1] if levels else (_TOP, False)
            if isinstance(token, _BLOCK_STARTS):
                levels.append((column, sequence))
            if above != _IN_FLOW and not page.lines[line][:column].strip():
                wanted = ruler.wanted(
                    above, column, in_mapping=sequence and above != _TOP and not in_sequence
                )
                if wanted != column:
                    yield line + 1, column + 1, f"wrong indentation: expected {wanted} but found {column}"


class _Ruler:
    """How deep levels are: as the options say, or as the first one of the file is."""

    def __init__(self, options: Options) -> None:
        spaces: Any = options.get("spaces", "consistent")
        self._step = spaces if isinstance(spaces, int) and not isinstance(spaces, bool) else 0
        self._sequences: bool | str = options.get("indent-sequences", True)

    def wanted(self, above: int, column: int, *, in_mapping: bool) -> int:
        """Where a block should begin; `in_mapping`: it is a sequence that a key of a mapping has."""
        if above == _TOP:
            return 0
        if in_mapping and self._sequences == "consistent":
            self._sequences = column > above
        if in_mapping and self._sequences is False:
            return above
        if in_mapping and self._sequences == "whatever" and column == above:
            return above
        if in_mapping and column == above:
            return above + (self._step or 2)
        self._step = self._step or column - above
        return above + self._step


def braces(page: Page, options: Options) -> Iterator[Problem]:
    """Space inside of `{}`."""
    yield from _inside(page, options, (yaml.FlowMappingStartToken, yaml.FlowMappingEndToken), "braces")


def brackets(page: Page, options: Options) -> Iterator[Problem]:
    """Space inside of `[]`."""
    yield from _inside(page, options, (yaml.FlowSequenceStartToken, yaml.FlowSequenceEndToken), "brackets")


def _inside(page: Page, options: Options, ends: tuple[type, type], name: str) -> Iterator[Problem]:
    least, most = int(options.get("min-spaces-inside", 0)), int(options.get("max-spaces-inside", 0))
    lower = _or(options.get("min-spaces-inside-empty", -1), least)
    upper = _or(options.get("max-spaces-inside-empty", -1), most)
    for before, token in zip(page.tokens, page.tokens[1:], strict=False):
        opens, closes = isinstance(before, ends[0]), isinstance(token, ends[1])
        if not (opens or closes):
            continue
        empty = opens and closes
        if opens and options.get("forbid") in ({True, "non-empty"} if not empty else {True}):
            place = before.start_mark
            sort = "mapping" if name == "braces" else "sequence"
            yield place.line + 1, place.column + 2, f"forbidden flow {sort}"
            continue
        low, high = (lower, upper) if empty else (least, most)
        yield from _between(page, before, token, (low, high), f"inside {'empty ' if empty else ''}{name}")


def commas(page: Page, options: Options) -> Iterator[Problem]:
    """Space around commas."""
    before_most = int(options.get("max-spaces-before", 0))
    bounds = int(options.get("min-spaces-after", 1)), int(options.get("max-spaces-after", 1))
    for before, token in zip(page.tokens, page.tokens[1:], strict=False):
        if isinstance(token, yaml.FlowEntryToken) and before_most >= 0:
            yield from _between(page, before, token, (0, before_most), "before comma")
        if isinstance(before, yaml.FlowEntryToken):
            yield from _between(page, before, token, bounds, "after comma")


def colons(page: Page, options: Options) -> Iterator[Problem]:
    """Space around the colon of a key."""
    before_most, after_most = (
        int(options.get("max-spaces-before", 0)),
        int(options.get("max-spaces-after", 1)),
    )
    for before, token in zip(page.tokens, page.tokens[1:], strict=False):
        if isinstance(token, yaml.ValueToken) and not isinstance(before, yaml.AliasToken | yaml.KeyToken):
            yield from _between(page, before, token, (0, before_most), "before colon")
        if isinstance(before, yaml.ValueToken):
            yield from _between(page, before, token, (0, after_most), "after colon")


def hyphens(page: Page, options: Options) -> Iterator[Problem]:
    """Space after the hyphen of an item."""
    most = int(options.get("max-spaces-after", 1))
    for before, token in zip(page.tokens, page.tokens[1:], strict=False):
        if isinstance(before, yaml.BlockEntryToken):
            yield from _between(page, before, token, (0, most), "after hyphen")


def _between(page: Page, before: Any, token: Any, bounds: tuple[int, int], where: str) -> Iterator[Problem]:
    """The space between two tokens of one line; -1 is no bound."""
    end, start = before.end_mark, token.start_mark
    if end.line != start.line or page.lines[end.line][end.column : start.column].strip():
        return
    space = start.column - end.column
    if 0 <= bounds[1] < space:
        yield start.line + 1, start.column, f"too many spaces {where}"
    elif space < bounds[0]:
        yield start.line + 1, start.column + 1, f"too few spaces {where}"


def _or(value: Any, default: int) -> int:
    return default if value == -1 else int(value)
