"""The address that this machine has in the internet by itself."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Final

_SOMEWHERE: Final = ("192.0.2.1", 9)
"""A documentation address: choosing the route to it sends no packet."""


def public_address() -> str | None:
    """Return the IPv4 address that packets leave with; None behind a router, or without a route."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_SOMEWHERE)
            address: str = probe.getsockname()[0]
    except OSError:
        return None
    return address if ip_address(address).is_global else None
