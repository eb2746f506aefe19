"""What machines read is out of people's sight on forges that show the comments of HTML, and is found again."""

import itertools

import hypothesis
import pytest
from hypothesis import strategies

from undrift.forges import hiding

MARK = "<!-- undrift:v1 app=shop tree=1a2b -->"
HIDDEN = '"undrift:v1 app=shop tree=1a2b"'


@pytest.mark.parametrize(
    "text, hidden",
    [
        (f"{MARK}\nwords\n", f"[//]: # {HIDDEN}\nwords\n"),
        (f"words\n\n{MARK}\n", f"words\n\n[//]: # {HIDDEN}\n"),
        (f"words\n{MARK}", f"words\n\n[///]: # {HIDDEN}"),
        (f"{MARK}\n{MARK}\nwords", f"[//]: # {HIDDEN}\n[//]: # {HIDDEN}\nwords"),
        (f"I saw {MARK}", f"I saw {MARK}"),
        ('<!-- say "so" -->', '<!-- say "so" -->'),
    ],
)
def test_a_mark_becomes_a_definition(text: str, hidden: str) -> None:
    assert hiding.hide(text) == hidden
    assert hiding.reveal(hidden) == text


LINES = strategies.sampled_from(
    ["", "words", "  ", MARK, "<!-- b -->", "<!---->", "- a", "```", '<!-- "q" -->', "\r"]
)


@hypothesis.given(strategies.lists(LINES).map("\n".join))
def test_what_is_hidden_comes_back_as_it_was(text: str) -> None:
    hidden = hiding.hide(text)

    assert hiding.reveal(hidden) == text
    assert MARK not in hidden.split("\n")


@hypothesis.given(strategies.lists(LINES).map("\n".join))
def test_a_definition_follows_upon_no_paragraph(text: str) -> None:
    lines = hiding.hide(text).split("\n")

    for above, line in itertools.pairwise(lines):
        if line.startswith("[//"):
            assert not above.strip() or above.startswith("[//")
