"""Settings of a name server that cannot be used are an error with a reason, whatever they are, and show no secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from undrift import errors
from undrift.model import target
from undrift.providers.dns import opening, planner, settings

SECRET = base64.b64encode(b"hidden" * 4).decode()


@pytest.mark.parametrize(
    "options",
    [
        {"key_name": "a..b", "key_secret": SECRET},
        {"key_name": "k", "key_secret": f"{SECRET}A"},
        {"key_name": "k", "key_secret": SECRET, "key_algorithm": "hmac-md4"},
        {"key_name": 5, "key_secret": SECRET},
        {"port": "domain"},
        {"timeout": "soon"},
        {"id": "twice"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_options_that_cannot_be_used_are_told(options: dict[str, Any]) -> None:
    given = settings.read(target.Target("names", "dns", settings={}))

    with pytest.raises(errors.ConfigError) as caught:
        opening.Opened(given, {"host": "127.0.0.1", **options})
    assert SECRET not in f"{caught.value} {caught.value.why} {caught.value.hint}"


@pytest.mark.parametrize(
    "name", ["undrift.__main__.main", "a..b", ".a.B", "no_such.Provider", "os.path", "octodns.provider.base"]
)
def test_what_is_no_provider_is_not_run(name: str) -> None:
    """Nor is a module that does something when it is imported taken for one."""
    with pytest.raises(errors.ConfigError):
        planner.provider_class(name)
