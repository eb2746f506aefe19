"""Whose a commit is, from what GitHub and Gitea tell."""

from __future__ import annotations

from typing import Any

import pytest

from undrift.forges import abilities

ADA: dict[str, Any] = {"author": {"login": "ada"}}


@pytest.mark.parametrize(
    "commit, pulls, made_by",
    [
        (ADA, [], {"ada"}),
        (ADA, [{"user": {"login": "grace"}}, {"user": None}, {"user": {"login": "ada"}}], {"ada", "grace"}),
        ({"author": None}, [{"user": {"login": "grace"}}], set()),
        ({"author": {}}, [], set()),
        (None, [], set()),
    ],
)
def test_makers(commit: Any, pulls: list[Any], made_by: set[str]) -> None:
    assert abilities.makers(commit, pulls) == made_by
