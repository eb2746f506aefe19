"""Choosing a tag, for any tags and ranges: it is one of those that are meant, none of them is better, and nothing goes
back.
"""

from __future__ import annotations

import re

import semver
from hypothesis import given
from hypothesis import strategies as st

from undrift.model import delivery
from undrift.publishing import picking
from undrift.sources import versions

NUMBER = st.integers(0, 12)
VERSION = st.builds(
    lambda v, parts, pre: f"{v}{'.'.join(map(str, parts))}{pre}",
    st.sampled_from(["", "v"]),
    st.lists(NUMBER, min_size=1, max_size=3),
    st.sampled_from(["", "", "", "-rc.1", "-alpine"]),
)
WORD = st.from_regex(r"\A[a-z0-9_][a-z0-9_.-]{0,8}\Z")
TAGS = st.lists(VERSION | WORD | st.sampled_from(["latest", "1.2.x", "2026-01-02"]), max_size=15)
RANGE = st.sampled_from(["", "*", "^1", "^1.4", "~1.2", ">=1 <3", ">=1.0.0-0", "1.x || 3.x"])
PATTERN = st.sampled_from(["", r"^v", r"^\d+\.\d+\.\d+$", r"^(?P<version>.*)-alpine$", "nothing at all"])
FOLLOW = st.sampled_from(["semver", "newest", "alphabetical"])


def picked(update: delivery.Update, tags: list[str], built: dict[str, float]) -> str:
    if update.follow == "semver":
        return picking.by_version(update, tags)
    return (
        picking.by_name(update, tags) if update.follow == "alphabetical" else picking.by_time(update, built)
    )


@given(tags=TAGS, range_=RANGE, pattern=PATTERN)
def test_the_highest_version_that_is_meant(tags: list[str], range_: str, pattern: str) -> None:
    update = delivery.Update("image", "semver", range_, pattern)
    tag = picking.by_version(update, tags)

    holds = versions.parse(range_ or "*").holds
    meant: dict[str, semver.Version] = {}
    for each in tags:
        found = re.search(pattern, each)
        text = found["version"] if found and "version" in pattern else each
        version = versions.version_of(text) if found else None
        if version is not None and holds(version):
            meant[each] = version
    assert (tag in meant) == bool(meant)
    assert all(meant[each] <= meant[tag] for each in meant)
    if "-" not in range_ and tag:
        assert not meant[tag].prerelease


@given(tags=TAGS, follow=FOLLOW, pattern=PATTERN, data=st.data())
def test_the_order_of_the_registry_does_not_matter(
    tags: list[str], follow: str, pattern: str, data: st.DataObject
) -> None:
    update = delivery.Update("image", follow, "", pattern)
    built = {tag: float(data.draw(st.integers(1, 3))) for tag in tags}
    shuffled = data.draw(st.permutations(tags))

    chosen = picked(update, tags, built)

    assert chosen == picked(update, shuffled, {tag: built[tag] for tag in shuffled})
    assert (not chosen) or chosen in tags


@given(there=TAGS.filter(bool), follow=FOLLOW, pattern=PATTERN, range_=RANGE, data=st.data())
def test_it_never_goes_back_and_comes_to_rest(
    there: list[str], follow: str, pattern: str, range_: str, data: st.DataObject
) -> None:
    """Whatever is published, and however often it is looked: versions only rise, and with one registry it ends."""
    update = delivery.Update("image", follow, range_, pattern)
    tags, current = data.draw(TAGS), there[0]
    built = {tag: float(data.draw(st.integers(1, 3))) for tag in tags}
    seen = [current]
    for _ in range(3):
        tag = picked(update, tags, built)
        if not tag or tag == current or picking.against(update, current, tag):
            break
        before, after = versions.version_of(current), versions.version_of(tag)
        if before and after and follow == "semver" and not pattern:
            assert after > before
        current = tag
        seen.append(current)
    assert len(seen) <= 2


@given(tag=VERSION)
def test_a_tag_is_no_step_back_from_itself_or_from_a_word(tag: str) -> None:
    for follow in ("newest", "alphabetical"):
        assert picking.against(delivery.Update("image", follow), tag, tag) == ""
    assert picking.against(delivery.Update("image"), "latest", tag) == ""
