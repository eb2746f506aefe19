"""What a host says over SSH: an answer that is not whole is an error at every byte, never an absence."""

import re

import pytest

from undrift import errors
from undrift.providers.hosts import transport
from undrift.providers.hosts.ssh import looking, saying, speech, stepping

ROOT = saying.Who("root", is_root=True)
DIGEST = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
WANTED = {
    "/etc/motd": transport.Need.DIGEST,
    "/etc/none": transport.Need.DIGEST,
    "/etc/link": transport.Need.NOTHING,
    "/etc/odd\nname": transport.Need.NOTHING,
}
ANSWER = (
    "=g 0\n"
    "81a4:0:0:6:root:root:./etc/motd\n"
    "stat: cannot statx './etc/none': No such file or directory\n"
    "a1ff:0:1001:4:root:UNKNOWN:./etc/link\n"
    "=l ./etc/link\nmotd\0\n"
    f"=d\n{DIGEST}  ./etc/motd\n"
    "=o ./etc/odd\\0012name\n81a4:0:0:0:root:root:\n"
    "=.\n"
).encode()


def read(answer: bytes) -> looking.Reader:
    reader = looking.Reader(looking.ask("/", WANTED), ROOT)
    reader.read(answer, b"")
    return reader


def test_a_whole_answer_is_understood() -> None:
    reader = read(ANSWER)

    assert not reader.wrong
    assert set(reader.seen) == {"/etc/motd", "/etc/link", "/etc/odd\nname"}
    assert reader.seen["/etc/motd"].digest == f"sha256:{DIGEST}"
    assert reader.seen["/etc/link"].points_to == "motd"
    assert reader.seen["/etc/link"].group == "1001"


def test_an_answer_that_breaks_off_anywhere_says_nothing() -> None:
    for end in range(len(ANSWER)):
        with pytest.raises(errors.TargetUnavailable):
            read(ANSWER[:end])


def test_what_could_not_be_looked_at_is_not_absent() -> None:
    denied = ANSWER.replace(b"./etc/none': No such file or directory", b"./etc/none': Permission denied")

    assert read(denied).wrong["/etc/none"].code == "UD502"


@pytest.mark.parametrize(
    "value", ["plain", "a|b", "back\\slash", "new\nline", "\x01\x7f", "ü€", "\udcff", "%s $(id) '\""]
)
def test_a_field_is_the_same_again_for_a_shell(value: str) -> None:
    written = speech.field(value)

    assert b"\n" not in written
    assert b"|" not in written
    # As `printf %b` reads it; that it does is seen wherever a host is.
    back = re.sub(rb"\\0([0-7]{3})", lambda found: bytes([int(found[1], 8)]), written)
    assert speech.text(back) == value


def test_the_outcome_of_steps_that_broke_off_is_known_as_far_as_it_was_told() -> None:
    steps = [[transport.Write("/a", b"1")], [transport.Write("/b", b"2")], [transport.Write("/c", b"3")]]
    outcome = stepping.Outcome(steps, ROOT)

    assert not outcome.read(b"=m 1 /new\0\n=f 0 0 mv: cannot move: No space left on device\n=k 1\n=k")

    assert outcome.done == {1}
    assert outcome.made[1] == ["/new"]
    assert {number: error.code for number, error in outcome.errors.items()} == {0: "UD508"}


def test_steps_in_one_folder_share_what_is_done_for_all_of_them() -> None:
    own = transport.Attributes(0o755, "www", "www")
    lines = stepping.ask("/", [[transport.Write(f"/etc/{n}", b"x", own)] for n in range(50)])

    words = [line.split(b"|")[0] for line in lines]
    assert [words.count(word) for word in (b"make", b"C", b"H", b"S", b"durable")] == [1, 1, 1, 1, 1]
    assert words.count(b"done") == 50
