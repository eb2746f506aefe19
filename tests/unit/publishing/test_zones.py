"""DNS zones, before any server is asked to take them."""

from __future__ import annotations

import pytest

from tests import stages
from undrift.model import delivery, publication

ZONE = """\
$TTL 300
@ IN SOA ns1.example.org. admin.example.org. 1 3600 600 86400 300
@ IN NS ns1
ns1 IN A 192.0.2.1
www IN A 192.0.2.10
"""
OCTODNS = """\
'':
  type: MX
  ttl: 300
  values:
  - exchange: mail.example.org.
    preference: 10
www:
- type: A
  values: [192.0.2.10, 192.0.2.11]
- type: AAAA
  value: 2001:db8::1
alias:
  type: CNAME
  value: www.example.org.
mail:
  type: A
  value: 192.0.2.25
"""


def checked(files: dict[str, str]) -> publication.Findings:
    where = stages.stage(recipe=delivery.Recipe("files", "dns"))
    content = {name: text.encode() for name, text in files.items()}
    return stages.found("zones", "", where=where, files=content)


def test_zones_that_are_right_are_found_right() -> None:
    found = checked(
        {"example.net.zone": ZONE, "zones/db.example.com": ZONE, "zones/example.org.yaml": OCTODNS}
    )

    assert (found.failed, found.warnings) == ((), ())
    assert found.checks[0].version.startswith("dnspython ")


@pytest.mark.parametrize(
    "old, new, line, why",
    [
        ("192.0.2.10", "192.0.2.300", 5, "Text input is malformed"),
        ("www IN A", "www IN AAA", 5, "unknown"),
        ("www IN A 192.0.2.10", "www IN CNAME", 5, ""),
    ],
)
def test_what_is_wrong_in_a_zone_file_is_told_with_its_line(old: str, new: str, line: int, why: str) -> None:
    (error,) = checked({"example.org.zone": ZONE.replace(old, new, 1)}).failed

    assert error.what == "the zone example.org. cannot be read"
    assert (str(error.origin), why.lower() in error.why.lower()) == (
        f"staging/petclinic/example.org.zone:{line}",
        True,
    )


@pytest.mark.parametrize("kind", ["SOA", "NS"])
def test_a_zone_needs_a_beginning(kind: str) -> None:
    text = "".join(line for line in ZONE.splitlines(keepends=True) if f" {kind} " not in line)

    assert [one.what for one in checked({"example.org.zone": text}).failed] == [
        f"the zone example.org. has no {kind} record of its own"
    ]


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("192.0.2.11", "192.0.2.256", "9:24: www A has a value that it cannot have"),
        ("type: AAAA", "type: AAAAA", "10:3: www has a type that there is not: AAAAA"),
        ("www.example.org.", "www.example.org", "14:3: alias CNAME has a value that it cannot have"),
        ("ttl: 300", "ttl: 0", "3:3: @ MX has no usable ttl"),
        ("    preference: 10\n", "", "5:5: @ MX has a value that it cannot have"),
        (
            "- type: AAAA\n  value: 2001:db8::1\n",
            "- type: CNAME\n  value: a.\n",
            "10:3: www cannot be a CNAME",
        ),
        ("  values: [192.0.2.10, 192.0.2.11]\n", "  values: []\n", "8:3: www A has no value"),
    ],
)
def test_what_is_wrong_in_a_zone_of_octodns_is_told_with_its_line(old: str, new: str, told: str) -> None:
    assert old in OCTODNS

    (error,) = checked({"example.org.yaml": OCTODNS.replace(old, new, 1)}).failed

    assert f"{error.origin}: {error.what}" == f"staging/petclinic/example.org.yaml:{told}"


def test_records_of_other_providers_and_other_yaml_are_let_be() -> None:
    found = checked(
        {
            "example.org.yaml": "www: {type: Route53Provider/ALIAS, value: {any: thing}}\n",
            "values.yaml": "replicas: 2\n",
            "pod.yaml": "apiVersion: v1\nkind: Pod\n",
        }
    )

    assert found.failed == ()


def test_files_are_checked_beside_one_another_as_the_agent_checks_them() -> None:
    """What the layer `dns` would say is said here: aliases, names that lead nowhere, surprising times to live."""
    found = checked(
        {
            "example.org.zone": ZONE + "ns1 IN CNAME www\nmail IN MX 10 gone\nfast 5 IN A 192.0.2.9\n",
            "example.org./more.yaml": "www:\n  type: A\n  value: 192.0.2.1\n",
        }
    )

    assert sorted(one.what for one in found.failed) == [
        "@ NS points to ns1.example.org., which is a CNAME, and may not be one (RFC 2181, section 10.3)",
        "mail MX points to gone.example.org., which has no address",
        "ns1 cannot be a CNAME",
        "www A of example.org. is declared twice",
    ]
    assert [one.what for one in found.warnings] == ["fast A has a short ttl: 5 seconds"]
