"""What some forges can do besides, the same wherever they can: list what is open, and say whose a commit is."""

from __future__ import annotations

from tests.conformance.forges import stand as stands
from undrift.forges import abilities

LISTERS = {"gitea", "github", "gitlab"}
VOUCHERS = {"gitea", "github"}


async def test_open_pull_requests_to_a_branch_are_listed(stand: stands.Stand, kind: str) -> None:
    """The oldest first, the head's commit with each; not what is closed or merged."""
    if not isinstance(stand.forge, abilities.Lister):
        assert kind not in LISTERS
        return
    assert kind in LISTERS
    heads = [await stand.branch(name) for name in ("b", "a", "c", "d")]
    numbers = [await stand.opened(name, "main", f"of {name}") for name in ("b", "a", "c", "d")]
    await stand.shut(numbers[2])
    await stand.merge(numbers[3], stand.methods[0])

    found = await stand.forge.open_pull_requests("main")

    assert [(one.number, one.head, one.sha) for one in found] == [
        (numbers[0], "b", heads[0]),
        (numbers[1], "a", heads[1]),
    ]
    assert list(await stand.forge.open_pull_requests("nowhere")) == []


async def test_nobody_made_what_is_not_there(stand: stands.Stand, kind: str) -> None:
    """A commit that the forge does not have is nobody's."""
    if not isinstance(stand.forge, abilities.Voucher):
        assert kind not in VOUCHERS
        return
    assert kind in VOUCHERS
    assert await stand.forge.makers_of("0" * 40) == frozenset()


async def test_who_opened_the_pull_request_of_a_commit_made_it_too(stand: stands.Stand, kind: str) -> None:
    """Gitea tells it of what was merged only: see the integration tests."""
    if kind != "github":
        return
    assert isinstance(stand.forge, abilities.Voucher)
    sha = await stand.branch("topic")
    alone = await stand.forge.makers_of(sha)
    await stand.opened("topic", "main", "of fellow")

    assert len(alone) == 1
    assert await stand.forge.makers_of(sha) == alone | {stand.fellow}
