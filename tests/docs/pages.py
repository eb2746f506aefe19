"""Reading the pages of the documentation, for tests that hold them and the code together."""

from __future__ import annotations

import ast
import functools
import re

from tests.architecture import reading

DOCS = reading.ROOT / "docs"
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


def text(page: str) -> str:
    """A page, by its path below docs/."""
    return (DOCS / page).read_text(encoding="utf-8")


def sections(page: str, level: int) -> dict[str, str]:
    """The sections of a level: heading without its anchor → what stands below it, deeper sections included."""
    found: dict[str, str] = {}
    heading = ""
    for line in _outside_fences(text(page)):
        marks, _, title = line.partition(" ")
        if marks and not marks.strip("#") and len(marks) <= level:
            heading = re.sub(r"\s*\{[^}]*\}$", "", title).strip() if len(marks) == level else ""
            if heading:
                assert heading not in found, f"{page} has two sections {heading}"
                found[heading] = ""
        elif heading:
            found[heading] += line + "\n"
    return found


def blocks(markdown: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    found = _FENCE.finditer(markdown)
    return [match["body"] for match in found if match["language"] == language]


def _outside_fences(markdown: str) -> list[str]:
    """Lines; those inside of fences indented by nothing are kept but can be no headings."""
    lines: list[str] = []
    inside = False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        lines.append(f"\u200b{line}" if inside and line.startswith("#") else line)
    return lines


@functools.cache
def _sayings(*, first: bool) -> tuple[re.Pattern[str], ...]:
    """Texts that the code may say, as patterns: what is filled in is anything. With `first` only those that a
    call is given first (or that are called `what`): what errors are made from.
    """
    found: set[str] = set()
    for path in (reading.ROOT / "src" / "undrift").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for each in _firsts(node) if first else [node]:
                pattern, literal = _pattern(each)
                if len(re.sub(r"\W", "", literal)) >= _LEAST:
                    found.add(pattern)
    return tuple(re.compile(pattern, re.DOTALL) for pattern in found)


_LEAST = 5


def _firsts(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.Call):
        return [*node.args[:1]]
    named = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id
    return [node.value] if isinstance(node, ast.Assign) and named == "what" else []


def _pattern(node: ast.AST) -> tuple[str, str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value), node.value
    if not isinstance(node, ast.JoinedStr):
        return "", ""
    parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
    literal = "".join(str(part) for part in parts if part is not None)
    return "".join(".+" if part is None else re.escape(str(part)) for part in parts), literal


def said(sentence: str, *, first: bool = False) -> bool:
    """Whether some text in the code comes to this sentence; with `first` one that an error begins with."""
    return any(pattern.fullmatch(sentence) for pattern in _sayings(first=first))
