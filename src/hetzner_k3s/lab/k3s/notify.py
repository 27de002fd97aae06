"""sd_notify: tell systemd that the service is ready."""

from __future__ import annotations

import os
import socket


def ready() -> None:
    """Send READY=1 where systemd asked for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
        notifier.connect("\0" + address[1:] if address.startswith("@") else address)
        notifier.sendall(b"READY=1\n")
