"""Telling systemd how we are: the sd_notify(3) protocol, one datagram a message."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(*lines: str, environ: dict[str, str] | None = None) -> bool:
    """Send `READY=1`, `STOPPING=1`, `WATCHDOG=1`, `STATUS=…`; False when systemd did not ask for it."""
    address = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as door:
        try:
            door.connect(address)
            door.send("\n".join(lines).encode())
        except OSError:
            return False
    return True


def watchdog_interval(environ: dict[str, str] | None = None) -> float | None:
    """Seconds between two signs of life: half of what systemd waits for; None when it does not wait."""
    known = os.environ if environ is None else environ
    if known.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(known["WATCHDOG_USEC"]) / 2_000_000
    except (KeyError, ValueError):
        return None
