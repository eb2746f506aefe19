"""How well a service does: its state as the manager tells it, and the probes that were declared."""

from __future__ import annotations
