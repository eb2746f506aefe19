"""Log lines: for people or machines, with the reconcile's name, and no credential on any of them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from undrift import errors
from undrift.agent import logs
from undrift.model import secret

URL = "https://ada:hunter2@example.org/ops.git"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    yield stream
    structlog.reset_defaults()


def refuse() -> None:
    raise errors.SourceDenied(f"{URL} refuses us", why=f"at {URL}")


def say(out: io.StringIO, *, text: bool, verbose: bool = False) -> str:
    """Log this and that, and give back what was written."""
    logs.configure(verbose=verbose, stream=out, text=text)
    log = structlog.get_logger("undrift")
    with structlog.contextvars.bound_contextvars(reconcile="4f00"):
        log.info("source", url=URL, token=secret.Secret("hunter2"), why=f"fatal: {URL} not found")
        log.debug("only when asked for")
        try:
            refuse()
        except errors.SourceDenied:
            log.exception("a defect")
    return out.getvalue()


@pytest.mark.parametrize("text", [True, False], ids=["for people", "for machines"])
def test_credentials_are_nowhere(out: io.StringIO, text: bool) -> None:
    """In no field, whoever put it there; in no traceback."""
    written = say(out, text=text)

    assert "hunter2" not in written
    assert "example.org/ops.git" in written
    assert written.count("4f00") == 2


def test_machines_read_one_object_a_line(out: io.StringIO) -> None:
    lines = [json.loads(line) for line in say(out, text=False, verbose=True).splitlines()]

    assert [line["level"] for line in lines] == ["info", "debug", "error"]
    assert all(line["reconcile"] == "4f00" and line["timestamp"].endswith("Z") for line in lines)
    assert "SourceDenied" in lines[2]["exception"]
