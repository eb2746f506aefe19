"""Which tag a range of versions takes."""

import pytest

from undrift.sources import versions

TAGS = [
    "v0.2.3",
    "0.2.9",
    "0.3.0",
    "1.0.0",
    "v1.2.3",
    "1.2.10",
    "1.3.0",
    "2.0.0-rc.1",
    "2.0.0-rc.2",
    "latest",
    "2",
]


@pytest.mark.parametrize(
    "text, highest",
    [
        ("*", "2"),
        ("1.x", "1.3.0"),
        ("1", "1.3.0"),
        ("^1.2.3", "1.3.0"),
        ("~1.2.3", "1.2.10"),
        ("~>1.2", "1.2.10"),
        ("~1", "1.3.0"),
        ("^0.2.3", "0.2.9"),
        ("^0.2", "0.2.9"),
        ("^0", "0.3.0"),
        (">=1.0 <1.3", "1.2.10"),
        (">=1.0,<1.3", "1.2.10"),
        ("> 1.2", "2"),
        (">1.2 <2", "1.3.0"),
        ("<=1.2", "1.2.10"),
        ("<1.0.0 || ^1.0 !=1.3.0", "1.2.10"),
        ("1.0 - 1.2", "1.2.10"),
        ("=1.2.3", "v1.2.3"),
        ("v1.2.3", "v1.2.3"),
        ("<2.0.0", "1.3.0"),
        (">=2.0.0-0 <2.0.0", "2.0.0-rc.2"),
        ("2.0.0-rc.1", "2.0.0-rc.1"),
        ("^3", None),
        (">2", None),
    ],
)
def test_the_highest_version_in_a_range(text: str, highest: str | None) -> None:
    assert versions.parse(text).highest(TAGS) == highest


@pytest.mark.parametrize("text", ["", "^", "banana", "1.2.3.4", ">=1 banana", "1.2 ||", "01.2", "1.2.3foo"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a comparison|must not be empty"):
        versions.parse(text)


def test_tags_that_are_no_versions_are_passed_over() -> None:
    assert versions.parse("*").highest(["latest", "release-1", "v1.0.0-"]) is None
