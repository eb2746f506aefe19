"""What people ordered is found again in the audit log, as it stood in the end."""

from __future__ import annotations

from typing import Any

from undrift.agent import audit

NOW = 1000.0


def order(kind: str, name: str = "site", **more: Any) -> dict[str, Any]:
    return {"order": kind, "application": name, "by": "ada", "at": 1.0, **more}


def test_approvals_come_in_their_order() -> None:
    orders = [order("approve", digest="one"), order("reconcile"), order("approve", digest="two")]

    assert [(one.application, one.digest, one.by) for one in audit.approvals(orders)] == [
        ("site", "one", "ada"),
        ("site", "two", "ada"),
    ]


def test_a_hold_that_was_lifted_or_is_over_does_not_come_back() -> None:
    orders = [
        order("hold", "lifted", until=2000.0),
        order("hold", "over", until=999.0),
        order("hold", "held", until=1500.0, reason="first"),
        order("resume", "lifted"),
        order("hold", "held", until=2000.0, reason="second"),
        order("hold", "again", until=2000.0),
        order("resume", "again"),
        order("hold", "again", until=3000.0),
    ]

    found = {one.application: (one.until, one.reason) for one in audit.holds(orders, NOW)}

    assert found == {"held": (2000.0, "second"), "again": (3000.0, "")}


def test_a_line_of_an_older_or_newer_version_is_passed_over() -> None:
    assert list(audit.approvals([{}, {"order": "dance"}])) == []
    assert list(audit.holds([{}, {"order": "dance"}], NOW)) == []
