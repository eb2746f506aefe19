"""Whatever is written into a zone: reading never breaks, texts come through whole, portions hold everything once."""

from __future__ import annotations

import string

import dns.rdata
from hypothesis import given
from hypothesis import strategies as st

from undrift import errors
from undrift.model import plan
from undrift.providers.dns import (
    declaring,
    entry,
    marks,
    records,
    rfc2136,
    seeing,
    server,
    settings,
    zonefiles,
)

LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
ZONE = "a.test."


@given(st.binary(max_size=200) | st.text(string.printable, max_size=200).map(str.encode))
def test_reading_a_zone_file_never_breaks(content: bytes) -> None:
    read = zonefiles.read(content, ZONE, "a.test.zone")

    assert all(isinstance(one, errors.ResourceInvalid) and one.origin for one in read.wrong)
    assert all(one.values and len(one.values) == len(one.places) for one in read.entries)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=600))
def test_a_text_in_yaml_is_the_text_that_a_server_is_given(text: str) -> None:
    data = {"k": {"type": "TXT", "ttl": 60, "value": text}}
    (one,) = declaring.Declared(ZONE, "a.test.yaml", data, {}, escaped=False).entries()

    assert isinstance(one, entry.Entry)
    rdata = dns.rdata.from_text("IN", "TXT", one.values[0])
    assert b"".join(rdata.strings).decode() == text  # type: ignore[attr-defined]  # of TXT


@given(LABEL, LABEL, LABEL, LABEL)
def test_a_mark_comes_back_as_it_was(agent: str, application: str, revision: str, earlier: str) -> None:
    mark = marks.Mark(agent, application, f"main@sha1:{revision}", earlier)

    assert marks.read(mark.text()) == marks.read(f'"{mark.text()}"') == mark


@given(
    st.lists(st.tuples(LABEL, st.sampled_from(["A", "TXT"])), unique=True, max_size=40), st.integers(1, 10)
)
def test_portions_hold_every_change_once_and_part_no_name(named: list[tuple[str, str]], size: int) -> None:
    host = {"host": "127.0.0.1", "update_batch_size": size}
    steps = tuple(_step(name, kind) for name, kind in named)

    portions = rfc2136.Rfc2136Server(settings.Settings(), host).weigh(steps)

    assert sorted(one.change.id for some in portions for one in some) == sorted(
        one.change.id for one in steps
    )
    names = [{one.change.id.name for one in some} for some in portions]
    assert sum(map(len, names)) == len({name for name, _ in named})
    assert all(len(some) <= max(size, 2) for some in portions)


def _step(name: str, kind: str) -> server.Step:
    value = "192.0.2.1" if kind == "A" else '"x"'
    one = entry.Entry(ZONE, name, kind, 60, (value,), errors.Origin("f"))
    made = records.declared(one, seeing.octodns(ZONE, []), escaped=True)
    return server.Step(
        plan.Change(plan.Action.CREATE, records.rid_of(made, ZONE), plan.Reason.DECLARED), None, made
    )
