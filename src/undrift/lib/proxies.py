"""Which proxy a URL is asked through, as HTTP(S)_PROXY, ALL_PROXY and NO_PROXY say."""

from __future__ import annotations

import urllib.request
from urllib import parse


def proxy_for(url: str) -> str | None:
    """The proxy that the variables name for a URL, or None."""
    parts = parse.urlsplit(url)
    proxies = urllib.request.getproxies_environment()
    host = parts.netloc.rpartition("@")[2]
    if not host or urllib.request.proxy_bypass_environment(host, proxies):  # type: ignore[attr-defined]  # typeshed does not know it
        return None
    return proxies.get(parts.scheme) or proxies.get("all")
