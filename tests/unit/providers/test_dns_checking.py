"""What no name server should be given, told before any is asked."""

from __future__ import annotations

import pytest

from undrift import errors
from undrift.providers.dns import checking, entry, gathering, zonefiles


def judged(**zones: str) -> tuple[list[str], list[str]]:
    """Errors and warnings about zone files, called by their zones with `_` for dots, as `line: what`."""
    draft = gathering.Draft()
    for name, text in zones.items():
        zone = name.replace("_", ".") + "."
        read = zonefiles.read(text.encode(), zone, zone)
        assert not read.wrong, read.wrong
        draft.take([zone, *(gathering.Found(one) for one in read.entries)])
    found = checking.check(draft.zones())
    return [told(one) for one in found.wrong], [told(one) for one in found.warnings]


def told(error: errors.UndriftError) -> str:
    """Line and text."""
    assert error.origin is not None
    return f"{error.origin.line}: {error.what}"


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("www 60 A 192.0.2.1\nalias 60 CNAME www\n@ 60 MX 5 www\n_s._tcp 60 SRV 1 2 3 www\n", []),
        ("alias 60 CNAME nowhere\n", ["1: alias CNAME points to nowhere.a.test., which does not exist"]),
        ("alias 60 CNAME elsewhere.org.\nnull 60 MX 0 .\n", []),
        ("m 60 MX 5 host\n", ["1: m MX points to host.a.test., which has no address"]),
        (
            "m 60 MX 5 alias\nalias 60 CNAME www\nwww 60 A 192.0.2.1\n",
            ["1: m MX points to alias.a.test., which is a CNAME, and may not be one (RFC 2181, section 10.3)"],
        ),
        ("m 60 MX 5 any.wild\n*.wild 60 A 192.0.2.1\n", []),
        ("m 60 MX 5 in.wild\nx.in.wild 60 A 192.0.2.1\n*.wild 60 A 192.0.2.1\n", ["1: m MX points to in.wild.a.test., which has no address"]),
        ("m 60 MX 5 host.sub\nsub 60 NS ns.elsewhere.org.\n", []),
        ("@ 60 CNAME www\nwww 60 A 192.0.2.1\n", ["1: @ cannot be a CNAME"]),
        ("www 60 CNAME b\nwww 60 TXT x\nb 60 A 192.0.2.1\n", ["1: www cannot be a CNAME"]),
        ("www 60 CNAME b\nwww 60 CNAME c\nb 60 A 192.0.2.1\nc 60 A 192.0.2.1\n", ["1: www cannot be a CNAME"]),
        ("sub 60 NS ns.sub\n", ["1: sub NS points to ns.sub.a.test., whose address is not in a.test."]),
        ("sub 60 NS ns.sub\nns.sub 60 A 192.0.2.1\n", []),
    ],
)  # fmt: skip
def test_what_cannot_work(text: str, wrong: list[str]) -> None:
    assert judged(a_test=text)[0] == wrong


def test_a_zone_and_one_below_it_say_the_same() -> None:
    """Who serves it, and where those are."""
    inner = "@ 60 NS ns.sub.a.test.\nns 60 A 192.0.2.1\n"
    glue = "sub 60 NS ns.sub\nns.sub 60 A 192.0.2.1\n"

    assert judged(a_test=glue, sub_a_test=inner) == ([], [])
    assert judged(a_test="www 60 A 192.0.2.1\n", sub_a_test=inner)[0] == [
        "1: a.test. does not say who serves sub.a.test."
    ]
    assert judged(
        a_test=glue.replace("NS ns.sub", "NS ns2.sub").replace("ns.sub 60", "ns2.sub 60"), sub_a_test=inner
    )[0][0] == ("1: a.test. names other servers of sub.a.test. than that zone does")
    assert judged(a_test=glue + "www.sub 60 A 192.0.2.1\n", sub_a_test=inner)[0] == [
        "3: www.sub A is never seen"
    ]


def test_addresses_and_names_lead_to_one_another_where_both_are_declared() -> None:
    reverse = "1 60 PTR www.a.test.\n2 60 PTR elsewhere.org.\n3 60 PTR www.a.test.\n"

    wrong, warnings = judged(a_test="www 60 A 192.0.2.1\n", **{"2_0_192_in-addr_arpa": reverse})

    assert wrong == []
    assert warnings == ["3: 3.2.0.192.in-addr.arpa. PTR points to www.a.test., which has another address"]


@pytest.mark.parametrize(
    "record, wrong",
    [
        ('@ 60 TXT "v=spf1 ip4:192.0.2.0/24 include:_spf.example.org -all"', ""),
        ('@ 60 TXT "v=spf1 ipv4:192.0.2.1 -all"', "SPF"),
        ('@ 60 TXT "v=spf1 -all" "" \n@ 60 TXT "v=spf1 ~all"', "SPF"),
        (
            '@ 60 TXT "v=spf1 ' + " ".join(f"include:s{one}.x" for one in range(11)) + ' -all"',
            "SPF",
        ),
        ('_dmarc 60 TXT "v=DMARC1; p=reject; rua=mailto:d@example.org"', ""),
        ('_dmarc 60 TXT "v=DMARC1; p=rejected"', "DMARC"),
        ('_dmarc 60 TXT "p=reject; v=DMARC1"', "DMARC"),
        ('_dmarc 60 TXT "v=DMARC1; p=none; rua=d@example.org"', "DMARC"),
        ('k1._domainkey 60 TXT "v=DKIM1; k=rsa; p=MIGfMA0G"', ""),
        ('k1._domainkey 60 TXT "v=DKIM1; k=rsa; p=MIG!fMA0"', "DKIM"),
        ('k1._domainkey 60 TXT "v=DKIM1; k=rsa"', "DKIM"),
        ('other 60 TXT "anything; goes=here"', ""),
    ],
)
def test_what_mail_servers_look_for_has_its_form(record: str, wrong: str) -> None:
    found, _ = judged(a_test=record + "\n")

    assert [one.rpartition(" is no ")[2] for one in found] == ([f"{wrong} record"] if wrong else [])


def test_times_to_live_and_spf_that_decides_nothing_are_warnings() -> None:
    text = 'a 5 A 192.0.2.1\nb 700000 A 192.0.2.1\n@ 60 TXT "v=spf1 a"\nc 30 A 192.0.2.1\n'

    assert judged(a_test=text) == (
        [],
        [
            "1: a A has a short ttl: 5 seconds",
            "2: b A has a long ttl: 700000 seconds",
            "3: @ TXT is a SPF record that decides nothing",
        ],
    )


def test_every_line_that_is_wrong_is_told_and_the_others_are_read() -> None:
    text = (
        b"$ORIGIN a.test.\n$TTL 60\nwww A 192.0.2.1\nwww A 192.0.2.444\nx AAA 1\ny CNAME\nz A 192.0.2.2\n"
        b"m MX 10 (\n  z )\n$GENERATE 1-2 h$ A 192.0.2.$\n@ SOA a. b. 1 2 3 4 5\n"
    )

    read = zonefiles.read(text, "a.test.", "a.test.zone")

    assert [str(one.origin) for one in read.wrong] == ["a.test.zone:4", "a.test.zone:5", "a.test.zone:6"]
    assert {(one.name, one.kind): one.origin.line for one in read.entries} == {
        ("www", "A"): 3, ("z", "A"): 7, ("m", "MX"): 8, ("h1", "A"): 10, ("h2", "A"): 10,
    }  # fmt: skip
    assert read.soa


def test_files_of_the_machine_are_never_included() -> None:
    read = zonefiles.read(b"$TTL 60\n$INCLUDE /etc/passwd\nwww A 192.0.2.1\n", "a.test.", "a.test.zone")

    assert [one.origin.line for one in read.wrong if one.origin] == [2]
    assert not any("root:" in one.why for one in read.wrong)
    assert all(isinstance(one, entry.Entry) for one in read.entries)
