"""Text of people and of programs, made safe to stand in Markdown that a forge renders and acts upon.

A commit subject may hold HTML, table bars, `@everyone`, `fixes #1` (which would close an issue of the wrong
repository), `/merge` at the start of a line (which GitLab obeys) or characters that turn the direction of writing.
Nothing of that works any more in what comes from here; what is read stays the same.
"""

from __future__ import annotations

import html
import re
from typing import Final

from undrift.model import forge

_INVISIBLE: Final = "\u200b"
_CUT: Final = "…"
_SPACES: Final = re.compile(r"\s+")
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ue000\ue001\ud800-\udfff]"
)
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>|~$!()&])")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CLOSING: Final = re.compile(
    r"\b(c)(lose[sd]?|losing)\b|\b(f)(ix(?:e[sd]|ing)?)\b|\b(r)(esolv(?:e[sd]?|ing))\b"
    r"|\b(i)(mplement(?:s|ed|ing)?)\b|\b(c)(omplet(?:e[sd]?|ing))\b",
    re.IGNORECASE,
)
_REFERRING: Final = re.compile(
    r"(?<=[#!@])(?=[\w/])|(?<=\bGH-)(?=\d)|(?<=://)(?=\w)|(?<=\bwww\.)(?=\w)", re.IGNORECASE
)
_SKIPPING: Final = re.compile(
    r"(?<=\[)(?=(?:skip[ -](?:ci|actions|cd|netlify|render)|(?:ci|no|actions)[ -](?:skip|ci)|azurepipelines skip)\b)"
    r"|(?<=\*\*\*)(?=NO_CI)",
    re.IGNORECASE,
)
_FENCE: Final = re.compile(r"`+")
_MARKER: Final = re.compile(r"<!--(?=\s*undrift)")
_LONGEST_LINE: Final = 400


def size(text: str) -> int:
    """How long a forge takes it to be: in units of UTF-16, as most of them count; never less than characters."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """The beginning of a text that is too long, with a sign that it is one. "" where there is no room at all."""
    if size(text) <= limit:
        return text
    if limit < 1:
        return ""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * (limit - 1)].decode("utf-16-le", "ignore") + _CUT


def line(text: str) -> str:
    """One line without what cannot be seen."""
    return _SPACES.sub(" ", _UNSEEN.sub("", _SPACES.sub(" ", text))).strip()


def defused(text: str) -> str:
    """One line that refers to nothing and orders nothing: for titles and commit messages."""
    quiet = _CLOSING.sub(
        lambda found: "".join(part for part in found.groups() if part)[:1] + _INVISIBLE + found[0][1:],
        line(text),
    )
    return _SKIPPING.sub(_INVISIBLE, _REFERRING.sub(_INVISIBLE, quiet))


def prose(text: str, limit: int = 200) -> str:
    """One line of plain words within Markdown, also in a table's cell or in HTML."""
    shown = _MARKUP.sub(
        lambda found: _ENTITIES.get(found[1], f"\\{found[1]}"), defused(cut(line(text), limit))
    )
    return f"\\{shown}" if shown[:1] in {"#", "+", "-", "="} else shown


def code(text: str, limit: int = 200) -> str:
    """One line as a code span, also in a table's cell. Nothing refers to anything from there."""
    plain = cut(line(text), limit).replace("|", "¦")
    if not plain:
        return ""
    longest = max((len(run) for run in _FENCE.findall(plain)), default=0)
    ticks = "`" * (longest + 1)
    space = " " if plain[0] == "`" or plain[-1] == "`" else ""
    return f"{ticks}{space}{plain}{space}{ticks}"


def link(label: str, address: str) -> str:
    """`label` (Markdown already) leading to an address; only where that is one of the web."""
    if re.fullmatch(r"https?://[^\s()<>\[\]`|\"'\\]+", address) is None or _UNSEEN.search(address):
        return label
    return f"[{label}]({address})"


def fenced(text: str, language: str = "diff") -> str:
    """Lines as a block of code that nothing in them can end. Long lines are cut."""
    lines = [_shortened(_UNSEEN.sub(_visible, one)) for one in text.rstrip("\n").split("\n")]
    body = _MARKER.sub("<! --", "\n".join(lines))
    longest = max((len(run) for run in _FENCE.findall(body)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{body}\n{ticks}"


def folded(name: str, told: str, body: str, limits: forge.Limits) -> str:
    """A part under the name of something (not escaped yet) and a few words; it unfolds where the forge knows that."""
    if limits.markdown_details:
        return f"<details><summary><code>{_html(name)}</code> {_html(told)}</summary>\n\n{body}\n\n</details>"
    return f"**{code(name)}** {prose(told)}\n\n{body}"


def _html(text: str) -> str:
    """Markdown is not read between tags."""
    return html.escape(defused(cut(line(text), 200)))


def _visible(found: re.Match[str]) -> str:
    return "" if found[0] == "\r" else f"\\u{ord(found[0]):04x}"


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_LINE:
        return text
    return f"{text[:_LONGEST_LINE]}… ({len(text) - _LONGEST_LINE} more characters)"
