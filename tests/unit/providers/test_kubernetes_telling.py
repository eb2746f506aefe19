"""What the API server shows beyond what is declared, and being told when that changes."""

from __future__ import annotations

import base64
from typing import Any

from undrift.model import resource, secret
from undrift.providers.kubernetes import marks, mirror, telling

SERVICE = resource.ResourceId("Service", "web", "gateway")
PATH = "status.loadBalancer.ingress.0.ip"


def _service(ip: str, version: int, port: int = 80) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "gateway",
            "namespace": "web",
            "resourceVersion": str(version),
            "labels": {marks.LABEL: "x"},
            "managedFields": [],
        },
        "spec": {"ports": [{"port": port}]},
        "status": {"loadBalancer": {"ingress": [{"ip": ip}]}},
    }


def test_the_whole_of_a_resource_has_its_status() -> None:
    found = telling.whole(SERVICE, _service("192.0.2.1", 1))
    assert found["status"]["loadBalancer"]["ingress"] == [{"ip": "192.0.2.1"}]
    assert "managedFields" not in found["metadata"]


def test_values_of_a_secret_are_decoded_and_hidden() -> None:
    raw = {"text": base64.b64encode(b"hush").decode(), "bytes": base64.b64encode(b"\xff").decode()}
    data = {"metadata": {"name": "s", "annotations": {"last-applied": "hush"}}, "data": raw}
    found = telling.whole(resource.ResourceId("Secret", "web", "s"), data)
    assert found["data"] == {"text": secret.Secret("hush"), "bytes": secret.Secret(b"\xff")}
    assert "hush" not in str(found)


def test_a_change_of_what_is_shown_is_told_though_nothing_of_ours_changed() -> None:
    """Whoever published an address has to hear of another one; anything else of the status is nobody's matter."""
    watched = mirror.Mirror()
    watched.take(SERVICE, _service("192.0.2.1", 1))
    watched.show(SERVICE, [PATH], _service("192.0.2.1", 1))
    hints = watched.listen()

    watched.take(SERVICE, _service("192.0.2.1", 2))
    assert hints.empty()
    watched.take(SERVICE, _service("192.0.2.9", 3))
    assert hints.get_nowait() == SERVICE
    watched.take(SERVICE, _service("192.0.2.9", 4))
    assert hints.empty()
