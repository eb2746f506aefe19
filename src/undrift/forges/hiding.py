"""Marks that machines read and people do not see, on forges that show the comments of HTML as text.

Bitbucket keeps HTML out of Markdown: `<!-- mark -->` is there for all to read. The definition of a link that nobody
uses is seen by none (CommonMark 0.31, "Link reference definitions"), as long as it does not follow upon a paragraph.
`reveal(hide(text)) == text`, whatever the text.
"""

from __future__ import annotations

import re

_PLAIN, _PARTED = "//", "///"
"""Labels of a definition as it is, and of one that had to be parted from a paragraph above it."""
_MARK = re.compile(r"(?P<before>\n?)^<!-- (?P<text>[^\"\\\n]*) -->$", re.MULTILINE)
_HIDDEN = re.compile(r"(?P<before>\n?)^\[(?P<label>///?)\]: # \"(?P<text>[^\"\\\n]*)\"$", re.MULTILINE)


def hide(text: str) -> str:
    """The text with each mark that has a line of its own as a definition."""

    def definition(found: re.Match[str]) -> str:
        above = text[: found.start()].rpartition("\n")[2]
        parted = bool(found["before"]) and bool(above.strip()) and not _MARK.fullmatch(above)
        gap = found["before"] + ("\n" if parted else "")
        return f'{gap}[{_PARTED if parted else _PLAIN}]: # "{found["text"]}"'

    return _MARK.sub(definition, text)


def reveal(text: str) -> str:
    """What was hidden, as it was."""

    def mark(found: re.Match[str]) -> str:
        return f"{found['before']}<!-- {found['text']} -->"

    parted = re.sub(r"\n(?=\n\[///\]: # \"[^\"\\\n]*\"$)", "", text, flags=re.MULTILINE)
    return _HIDDEN.sub(mark, parted)
