"""Text of people in Markdown: nothing of it works, all of it is read."""

from __future__ import annotations

import pytest

from undrift.forges import escaping
from undrift.model import forge

Z = "\u200b"


@pytest.mark.parametrize(
    "reason, text, safe",
    [
        ("plain words stay", "Sell cat food", "Sell cat food"),
        ("one line", "a\n\n# b\t c", "a # b c"),
        ("no HTML", "<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("no comment of ours", "<!-- undrift:v1 -->", "&lt;\\!-- undrift:v1 --&gt;"),
        ("no new cell", "a|b", "a\\|b"),
        ("no link", "[a](b)", "\\[a\\]\\(b\\)"),
        ("no emphasis, no code", "*a* _b_ `c`", "\\*a\\* \\_b\\_ \\`c\\`"),
        ("nobody is called", "@all", f"@{Z}all"),
        ("no issue is closed", "fixes #1", f"f{Z}ixes #{Z}1"),
        ("however it is written", "CLOSED: https://x/1", f"C{Z}LOSED: https://{Z}x/1"),
        ("nor referred to", "see GH-1 and !2", f"see GH-{Z}1 and \\!{Z}2"),
        ("no smart commit", "SHOP-1 #close", f"SHOP-1 #{Z}c{Z}lose"),
        ("no heading", "# a", "\\# a"),
        ("no list", "- a", "\\- a"),
        ("the direction of writing stays", "a\u202eb\u2066c", "abc"),
        ("no terminal is told anything", "a\x1b[31mb", "a\\[31mb"),
        ("half a character", "a\ud800b", "ab"),
        ("other alphabets stay", "Ünïcödé 猫 👩‍🍳", "Ünïcödé 猫 👩‍🍳"),
        ("a word that only begins so", "fixture prefixes", "fixture prefixes"),
    ],
)
def test_prose(reason: str, text: str, safe: str) -> None:
    assert escaping.prose(text) == safe, reason


@pytest.mark.parametrize("text", ["[skip ci]", "[CI SKIP]", "[no ci]", "[skip actions]", "***NO_CI***"])
def test_ci_is_not_skipped(text: str) -> None:
    assert Z in escaping.defused(f"Fast {text}")


@pytest.mark.parametrize(
    "text, span",
    [
        ("a", "`a`"),
        ("", ""),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("``", "``` `` ```"),
        ("a|b", "`a¦b`"),
        ("a\nb", "`a b`"),
    ],
)
def test_code(text: str, span: str) -> None:
    assert escaping.code(text) == span


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "", "https://x/a b", "https://x/)", "https://x/\u202e", "ftp://x", 'https://x/"'],
)
def test_a_link_leads_only_to_the_web(address: str) -> None:
    assert escaping.link("a", address) == "a"


def test_a_link() -> None:
    assert escaping.link("a", "https://x.example/b?c=d") == "[a](https://x.example/b?c=d)"


@pytest.mark.parametrize(
    "reason, text, fenced",
    [
        ("lines as they are", "-a\n+b\n", "```diff\n-a\n+b\n```"),
        ("a fence in it does not end it", "+```\n+a", "````diff\n+```\n+a\n````"),
        ("a longer one", "`````", "``````diff\n`````\n``````"),
        ("what turns writing is spelled", "+a\u202eb", "```diff\n+a\\u202eb\n```"),
        ("no marker of ours", "+<!-- undrift:v1 -->", "```diff\n+<! -- undrift:v1 -->\n```"),
        ("carriage returns go", "+a\r\n+b\r", "```diff\n+a\n+b\n```"),
        ("long lines are cut", "x" * 500, f"```diff\n{'x' * 400}… (100 more characters)\n```"),
    ],
)
def test_fenced(reason: str, text: str, fenced: str) -> None:
    assert escaping.fenced(text) == fenced, reason


@pytest.mark.parametrize(
    "text, limit, cut",
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("👩a", 3, "👩a"),
        ("👩👩", 3, "👩…"),
        ("👩👩", 2, "…"),
    ],
)
def test_cut(text: str, limit: int, cut: str) -> None:
    """A character beyond the first plane is two for those who count in UTF-16."""
    assert escaping.cut(text, limit) == cut
    assert escaping.size(cut) <= limit


def test_folded_where_the_forge_folds() -> None:
    assert escaping.folded("a<b", "fixes #1 & `x`", "body", forge.Limits()) == (
        f"<details><summary><code>a&lt;b</code> f{Z}ixes #{Z}1 &amp; `x`</summary>\n\nbody\n\n</details>"
    )
    assert escaping.folded("a<b", "`x`", "body", forge.Limits(markdown_details=False)) == (
        "**`a<b`** \\`x\\`\n\nbody"
    )
