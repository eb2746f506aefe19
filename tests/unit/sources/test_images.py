"""How images are named, and which registries are spoken to without TLS."""

from __future__ import annotations

import pytest

from undrift.sources.oci import images


@pytest.mark.parametrize(
    "image, url, scheme",
    [
        ("nginx", "oci://registry-1.docker.io/library/nginx", "https"),
        ("team/app", "oci://registry-1.docker.io/team/app", "https"),
        ("docker.io/nginx", "oci://registry-1.docker.io/library/nginx", "https"),
        ("registry.example/team/app", "oci://registry.example/team/app", "https"),
        ("registry.example:5000/app", "oci://registry.example:5000/app", "https"),
        ("localhost:5000/app", "oci://localhost:5000/app", "http"),
        ("127.0.0.1:5000/app", "oci://127.0.0.1:5000/app", "http"),
        ("10.0.0.1:5000/app", "oci://10.0.0.1:5000/app", "https"),
    ],
)
async def test_where_an_image_is(image: str, url: str, scheme: str) -> None:
    asked = images.Images({})
    try:
        address = (await asked._open(image)).address
        assert (address.url, address.scheme) == (url, scheme)
    finally:
        await asked.close()
