"""Which tag of an image is the next one."""

from __future__ import annotations

import pytest

from undrift import errors
from undrift.model import delivery
from undrift.publishing import picking

TAGS = ["7.4.1", "7.4.10", "7.4.9", "v7.5.0", "8.0.0", "7.6.0-rc.1", "latest", "7.4", "7"]


def update(follow: str = "semver", range_: str = "", tags: str = "") -> delivery.Update:
    return delivery.Update("registry.example/cache", follow, range_, tags)


@pytest.mark.parametrize(
    "range_, pattern, chosen",
    [
        ("", "", "8.0.0"),
        ("^7.4", "", "v7.5.0"),
        ("~7.4", "", "7.4.10"),
        (">=7.6.0-0 <8", "", "7.6.0-rc.1"),
        ("^7", r"^\d", "7.4.10"),
        ("^9", "", ""),
        ("", r"^(?P<version>.*)-rc", "7.6.0-rc.1"),
    ],
)
def test_the_highest_version_in_a_range(range_: str, pattern: str, chosen: str) -> None:
    assert picking.by_version(update(range_=range_, tags=pattern), TAGS) == chosen


def test_a_pattern_of_tags_has_an_end() -> None:
    with pytest.raises(errors.ConfigInvalid, match="tags cannot be looked for"):
        picking.by_version(update(tags="(a|aa)+$"), ["1.0", "a" * 60 + "!"])


def test_of_two_names_of_one_version_the_whole_one() -> None:
    assert picking.by_version(update(), ["v7.4", "7.4.0", "7.4"]) == "7.4.0"


def test_a_range_that_is_none_is_told_with_its_file() -> None:
    with pytest.raises(errors.ConfigInvalid, match="not a range") as caught:
        picking.by_version(update(range_="newer please"), TAGS, "undrift.yaml")
    assert str(caught.value.origin) == "undrift.yaml"


def test_the_last_by_name_and_by_time() -> None:
    tags = ["2026-01-02", "2026-01-10", "zebra"]
    assert picking.by_name(update("alphabetical", tags="^20"), tags) == "2026-01-10"
    built = {"a": 2.0, "b": 3.0, "c": 3.0, "other": 9.0}
    assert picking.by_time(update("newest", tags="^.$"), built) == "c"
    assert picking.by_time(update("newest", tags="^.$"), built, ["b"]) == "b", "what is there stays"
    assert picking.by_time(update("newest", tags="nothing"), built) == ""


@pytest.mark.parametrize(
    "follow, there, chosen, said",
    [
        ("semver", "7.4.1", "7.4.5", ""),
        ("semver", "7.4.5", "7.4.1", "7.4.1 would be a step back from 7.4.5"),
        ("semver", "v7.4.0", "7.4.0", "v7.4.0 and 7.4.0 are one version"),
        ("semver", "latest", "7.4.1", ""),
        ("newest", "7.4.5", "7.3.9", "7.3.9 would be a step back from 7.4.5"),
        ("newest", "20260301", "20260201", ""),
        ("newest", "1234567", "0123456", ""),
        ("alphabetical", "b", "a", "a would be a step back from b"),
        ("alphabetical", "a", "b", ""),
    ],
)
def test_nothing_goes_back(follow: str, there: str, chosen: str, said: str) -> None:
    assert picking.against(update(follow), there, chosen) == said


def test_a_name_that_is_not_meant_is_left_for_one_that_is() -> None:
    assert picking.against(update("alphabetical", tags="^build-"), "latest", "build-1") == ""
