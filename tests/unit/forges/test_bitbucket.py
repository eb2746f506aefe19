"""What of Bitbucket Cloud can be told without it."""

from undrift.forges import bitbucket, connecting, credentials


def test_the_key_of_a_status_has_at_most_forty_characters_and_stays_its_own() -> None:
    short, long = "undrift/render", "undrift/petclinic/production-eu-central-1/health"

    assert bitbucket._key(short) == short
    assert len(bitbucket._key(long)) == 40
    assert bitbucket._key(long) != bitbucket._key(f"{long}y")
    assert bitbucket._key("x" * 40) == "x" * 40


def test_with_a_user_it_is_a_password_else_a_bearer() -> None:
    sign = connecting.KINDS["bitbucket"].sign

    assert sign(credentials.Token("t"))["Authorization"] == "Bearer t"
    assert sign(credentials.Token("t", "ada@acme.example"))["Authorization"].startswith("Basic ")
