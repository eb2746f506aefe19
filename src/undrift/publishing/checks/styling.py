"""Rules about how YAML is written, under the names and with the options that yamllint gives them, written anew.

https://yamllint.readthedocs.io/en/stable/rules.html . The texts of problems are near to yamllint's, so that people
find them. What a rule looks at: lines as they are, or the tokens of the C scanner, which know lines and columns.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import yaml

from undrift.publishing.checks import spacing

Options = Mapping[str, Any]
Problem = spacing.Problem
_TRUTHS: Final = frozenset(
    {"YES", "Yes", "yes", "NO", "No", "no", "TRUE", "True", "true", "FALSE", "False", "false"}
    | {"ON", "On", "on", "OFF", "Off", "off"}
)
_OCTAL: Final = re.compile(r"0[0-7]+")
_EXPLICIT: Final = re.compile(r"0o[0-7]+")
_DIRECTIVE: Final = re.compile(
    r"#\s*yamllint (?P<what>disable-line|disable-file|disable|enable)(?P<rules>(?: rule:\S+)*)\s*$"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """One problem: its rule, where (from 1), what."""

    rule: str
    line: int
    column: int
    what: str


def lint(text: str, rules: Mapping[str, Options]) -> list[Found]:
    """What rules find in a file; a file that is no YAML is found by others, and has lines all the same."""
    page = spacing.Page(text)
    silent = _silenced(page)
    found = []
    for name, options in rules.items():
        for line, column, what in RULES[name](page, options):
            off = silent.get(line, frozenset()) | silent.get(0, frozenset())
            if name not in off and "*" not in off:
                found.append(Found(name, line, column, what))
    return sorted(found, key=lambda one: (one.line, one.column, one.rule))


def _silenced(page: spacing.Page) -> dict[int, frozenset[str]]:
    """Rules that comments switch off, by line; line 0 is the whole file, `*` is all rules."""
    found: dict[int, frozenset[str]] = {}
    off: frozenset[str] = frozenset()
    for number, line in enumerate(page.lines, 1):
        directive = _DIRECTIVE.search(line)
        named = frozenset(re.findall(r"rule:(\S+)", directive["rules"])) if directive else frozenset()
        what = directive["what"] if directive else ""
        if what == "disable-file" and number == 1:
            return {0: frozenset({"*"})}
        if what == "disable":
            off |= named or {"*"}
        elif what == "enable":
            off = off - named if named else frozenset()
        found[number] = found.get(number, frozenset()) | off
        if what == "disable-line":
            alone = not line[: directive.start()].strip() if directive else False
            place = number + 1 if alone else number
            found[place] = found.get(place, frozenset()) | (named or frozenset({"*"}))
    return found


def _trailing_spaces(page: spacing.Page, _: Options) -> Iterator[Problem]:
    for number, line in enumerate(page.lines, 1):
        bare = line.rstrip(" \t")
        if bare != line:
            yield number, len(bare) + 1, "trailing spaces"


def _line_length(page: spacing.Page, options: Options) -> Iterator[Problem]:
    most = int(options.get("max", 80))
    words = options.get("allow-non-breakable-words", True)
    inline = options.get("allow-non-breakable-inline-mappings", False)
    for number, line in enumerate(page.lines, 1):
        if len(line) <= most:
            continue
        start = re.match(r" *(?:#+.|- )?", line)
        rest = line[start.end() :] if start else line
        if (words or inline) and " " not in rest:
            continue
        _, colon, value = line.partition(": ")
        if inline and colon and " " not in value.strip():
            continue
        yield number, most + 1, f"line too long ({len(line)} > {most} characters)"


def _new_line_at_end(page: spacing.Page, _: Options) -> Iterator[Problem]:
    if page.text and not page.text.endswith("\n"):
        yield len(page.lines), len(page.lines[-1]) + 1, "no new line character at the end of file"


def _new_lines(page: spacing.Page, options: Options) -> Iterator[Problem]:
    wanted = options.get("type", "unix")
    first = re.search(r"\r?\n", page.text)
    ends = {"unix": "\n", "dos": "\r\n"}.get(str(wanted), "")
    if first and ends and first[0] != ends:
        shown = ends.encode("unicode_escape").decode()
        yield 1, len(page.lines[0].rstrip("\r")) + 1, f"wrong new line character: expected {shown}"


def _empty_lines(page: spacing.Page, options: Options) -> Iterator[Problem]:
    most, at_start, at_end = (
        int(options.get(name, one)) for name, one in (("max", 2), ("max-start", 0), ("max-end", 0))
    )
    lines = [line.rstrip("\r") for line in page.lines]
    run = 0
    for number, line in enumerate([*lines, "end"], 1):
        if line == "" and number <= len(lines):
            run += 1
            continue
        last = number > len(lines)
        allowed = at_end if last else at_start if run == number - 1 else most
        if run > allowed and not (last and page.text in {"", "\n"}):
            yield number - 1, 1, f"too many blank lines ({run} > {allowed})"
        run = 0


def _document_start(page: spacing.Page, options: Options) -> Iterator[Problem]:
    present = options.get("present", True)
    for before, token in zip([None, *page.tokens], page.tokens, strict=False):
        if not present and isinstance(token, yaml.DocumentStartToken):
            yield (
                token.start_mark.line + 1,
                token.start_mark.column + 1,
                'found forbidden document start "---"',
            )
        starts = isinstance(before, yaml.StreamStartToken | yaml.DocumentEndToken | yaml.DirectiveToken)
        opens = isinstance(
            token, yaml.DocumentStartToken | yaml.DirectiveToken | yaml.StreamEndToken | yaml.DocumentEndToken
        )
        if present and starts and not opens:
            yield token.start_mark.line + 1, 1, 'missing document start "---"'


def _document_end(page: spacing.Page, options: Options) -> Iterator[Problem]:
    present = options.get("present", True)
    for before, token in zip([None, *page.tokens], page.tokens, strict=False):
        if not present and isinstance(token, yaml.DocumentEndToken):
            yield token.start_mark.line + 1, token.start_mark.column + 1, 'found forbidden document end "..."'
        ends = isinstance(token, yaml.StreamEndToken | yaml.DocumentStartToken)
        open_before = not isinstance(
            before, yaml.StreamStartToken | yaml.DocumentEndToken | yaml.DirectiveToken | None
        )
        if present and ends and open_before:
            line = token.start_mark.line + (1 if isinstance(token, yaml.DocumentStartToken) else 0)
            yield line, 1, 'missing document end "..."'


def _truthy(page: spacing.Page, options: Options) -> Iterator[Problem]:
    allowed = {
        str(one).lower() if isinstance(one, bool) else str(one)
        for one in options.get("allowed-values", ("true", "false"))
    }
    keys = options.get("check-keys", True)
    for before, token in zip([None, *page.tokens], page.tokens, strict=False):
        if not isinstance(token, yaml.ScalarToken) or not token.plain or isinstance(before, yaml.TagToken):
            continue
        if not keys and isinstance(before, yaml.KeyToken):
            continue
        if token.value in _TRUTHS - allowed:
            listed = ", ".join(sorted(allowed))
            yield (
                token.start_mark.line + 1,
                token.start_mark.column + 1,
                f"truthy value should be one of [{listed}]",
            )


def _octal_values(page: spacing.Page, options: Options) -> Iterator[Problem]:
    for before, token in zip([None, *page.tokens], page.tokens, strict=False):
        if not isinstance(token, yaml.ScalarToken) or not token.plain or isinstance(before, yaml.TagToken):
            continue
        place = token.start_mark.line + 1, token.end_mark.column + 1
        if options.get("forbid-implicit-octal", True) and _OCTAL.fullmatch(token.value):
            yield *place, "forbidden implicit octal value"
        if options.get("forbid-explicit-octal", True) and _EXPLICIT.fullmatch(token.value):
            yield *place, "forbidden explicit octal value"


def _empty_values(page: spacing.Page, options: Options) -> Iterator[Problem]:
    flow = 0
    for token, after in zip(page.tokens, [*page.tokens[1:], None], strict=False):
        flow += isinstance(token, yaml.FlowMappingStartToken | yaml.FlowSequenceStartToken)
        flow -= isinstance(token, yaml.FlowMappingEndToken | yaml.FlowSequenceEndToken)
        place = token.end_mark.line + 1, token.end_mark.column + 1
        if isinstance(token, yaml.ValueToken) and isinstance(
            after, yaml.KeyToken | yaml.BlockEndToken | yaml.FlowEntryToken | yaml.FlowMappingEndToken
        ):
            name = "flow" if flow else "block"
            if options.get(f"forbid-in-{name}-mappings", True):
                yield *place, f"empty value in {name} mapping"
        if (
            isinstance(token, yaml.BlockEntryToken)
            and isinstance(after, yaml.BlockEntryToken | yaml.BlockEndToken)
            and options.get("forbid-in-block-sequences", True)
        ):
            yield *place, "empty value in block sequence"


def _key_duplicates(page: spacing.Page, options: Options) -> Iterator[Problem]:
    seen: list[set[str]] = []
    opens = (
        yaml.BlockMappingStartToken
        | yaml.BlockSequenceStartToken
        | yaml.FlowMappingStartToken
        | yaml.FlowSequenceStartToken
    )
    closes = yaml.BlockEndToken | yaml.FlowMappingEndToken | yaml.FlowSequenceEndToken
    for before, token in zip([None, *page.tokens], page.tokens, strict=False):
        if isinstance(token, opens):
            seen.append(set())
        elif isinstance(token, closes) and seen:
            seen.pop()
        elif isinstance(before, yaml.KeyToken) and isinstance(token, yaml.ScalarToken) and seen:
            if token.value in seen[-1] and not (
                token.value == "<<" and not options.get("forbid-duplicated-merge-keys")
            ):
                yield (
                    token.start_mark.line + 1,
                    token.start_mark.column + 1,
                    f'duplication of key "{token.value}" in mapping',
                )
            seen[-1].add(token.value)


def _anchors(page: spacing.Page, options: Options) -> Iterator[Problem]:
    known: set[str] = set()
    for token in page.tokens:
        place = token.start_mark.line + 1, token.start_mark.column + 1
        if isinstance(token, yaml.DocumentStartToken):
            known.clear()
        elif isinstance(token, yaml.AnchorToken):
            if options.get("forbid-duplicated-anchors") and token.value in known:
                yield *place, f'found duplicated anchor "{token.value}"'
            known.add(token.value)
        elif (
            isinstance(token, yaml.AliasToken)
            and options.get("forbid-undeclared-aliases", True)
            and token.value not in known
        ):
            yield *place, f'found undeclared alias "{token.value}"'


RULES: Final[Mapping[str, Callable[[spacing.Page, Options], Iterator[Problem]]]] = {
    "anchors": _anchors,
    "braces": spacing.braces,
    "brackets": spacing.brackets,
    "colons": spacing.colons,
    "commas": spacing.commas,
    "comments": spacing.comments,
    "comments-indentation": spacing.comments_indentation,
    "document-end": _document_end,
    "document-start": _document_start,
    "empty-lines": _empty_lines,
    "empty-values": _empty_values,
    "hyphens": spacing.hyphens,
    "indentation": spacing.indentation,
    "key-duplicates": _key_duplicates,
    "line-length": _line_length,
    "new-line-at-end-of-file": _new_line_at_end,
    "new-lines": _new_lines,
    "octal-values": _octal_values,
    "trailing-spaces": _trailing_spaces,
    "truthy": _truthy,
}
"""Each rule by its name."""
