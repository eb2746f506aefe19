"""Patterns over paths."""

import pytest

from undrift.lib import globs


@pytest.mark.parametrize(
    "pattern, path, matches",
    [
        ("apps/*", "apps/web", True),
        ("apps/*", "apps/web/x", False),
        ("apps/*", "apps", False),
        ("apps/**", "apps/web/x", True),
        ("**/*.yaml", "a.yaml", True),
        ("**/*.yaml", "x/y/a.yaml", True),
        ("**/*.yaml", "x/y/a.yml", False),
        ("*.yaml", "x/a.yaml", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "ab", False),
        ("file?", "file1", True),
        ("file?", "file/", False),
        ("[ab]x", "ax", True),
        ("[!ab]x", "ax", False),
        ("[!ab]x", "cx", True),
        ("[!a]x", "/x", False),
        ("[", "[", True),
        ("[z-a]", "[z-a]", True),
        ("a.c", "abc", False),
        ("/apps/", "apps", True),
        ("*", "new\nline", True),
    ],
)
def test_a_pattern_matches_whole_paths(pattern: str, path: str, matches: bool) -> None:
    assert globs.matches(path, [pattern]) is matches


@pytest.mark.parametrize(
    "pattern, folder",
    [("apps/*", "apps"), ("*", "."), ("a/b/*/c", "a/b"), ("a/b", "a"), ("**/x", "."), ("a/[bc]/d", "a")],
)
def test_the_literal_part_is_where_to_look(pattern: str, folder: str) -> None:
    assert globs.prefix(pattern) == folder
