"""What others wrote is told as it reads, and nothing obeys it."""

from __future__ import annotations

import json

import pytest

from undrift.cli import telling


@pytest.mark.parametrize(
    "written, told",
    [
        ("Sell cat food, #12: ## now\n::", "Sell cat food, #12: ## now\n: :"),
        ("a::b", "a::b"),
        ("##vso[task.setvariable variable=PATH]/evil", "## vso[task.setvariable variable=PATH]/evil"),
        ("x ##[error]no ##teamcity[buildStop]", "x ## [error]no ## teamcity[buildStop]"),
        ("why\n  ::add-mask::1", "why\n  : :add-mask::1"),
        ("\x1b[2J\x1b]0;title\x07\x9b1m\r", "\ufffd[2J\ufffd]0;title\ufffd\ufffd1m\ufffd"),
        ("a\u202eb\u2066c", "a\ufffdb\ufffdc"),
        ("Grüße\t日本\n", "Grüße\t日本\n"),
    ],
)
def test_signs_that_a_terminal_or_ci_would_obey(written: str, told: str) -> None:
    assert telling.harmless(written) == told


def test_errors_are_told_so() -> None:
    lines = [
        *telling.lines({"code": "UD201", "what": "\x1b[31m", "why": "no\n::warning::x", "hint": "##[x]"})
    ]

    assert lines == ["error UD201: \ufffd[31m", "  why:    no", "          : :warning::x", "  next:   ## [x]"]


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    telling.data({"subject": "##vso[x] ##[y] # ## z"})
    written = capsys.readouterr().out

    assert "##vso[" not in written
    assert "##[" not in written
    assert json.loads(written) == {"subject": "##vso[x] ##[y] # ## z"}
