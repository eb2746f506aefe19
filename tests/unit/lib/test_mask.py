"""Credentials in URLs are taken out, whatever is in them; nothing else of a text is."""

import pytest

from undrift.lib import mask


@pytest.mark.parametrize(
    "text, shown",
    [
        ("https://ada:hunter2@forge.example/x", "https://forge.example/x"),
        ("https://ada:hun@ter2@forge.example/x", "https://forge.example/x"),
        ("ssh://git@forge.example/x", "ssh://forge.example/x"),
        ("https://forge.example/x by ada@example.org", "https://forge.example/x by ada@example.org"),
        ("https://forge.example/a@b", "https://forge.example/a@b"),
        ("two: https://a:b@c/ and https://d:e@f/", "two: https://c/ and https://f/"),
    ],
)
def test_credentials_in_urls(text: str, shown: str) -> None:
    assert mask.without_credentials(text) == shown


def test_known_secrets_in_every_form() -> None:
    hide = mask.Mask(["hunter2/&"])

    assert "hunter2" not in hide("hunter2/& aHVudGVyMi8m hunter2%2F%26")
