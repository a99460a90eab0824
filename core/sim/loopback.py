"""Who may talk to a stand-in server on loopback: programs of this computer, and no web page of anybody else.

Rule 1: a request must name this computer as Host, so that no foreign name can be made to point here.
Rule 2: what a browser sends on behalf of another site says so in Origin or Sec-Fetch-Site, even where that page could
        not read the answer; programs send neither.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

OWN_SITES = frozenset({"none", "same-origin"})


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers comes from another site's page or under a foreign name."""
    host = headers.get("Host", "")
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "none")
    return not _is_here(host) or site not in OWN_SITES or origin not in (None, f"http://{host}")


def _is_here(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
