"""The sockets the API is served on."""

from __future__ import annotations

import socket


def listen(host: str, port: int = 0) -> socket.socket:
    """Open a listening socket (port 0: any free one).

    The protocol is named: asyncio turns Nagle's algorithm off only for sockets that say they are TCP, and with it on
    every answer on a kept connection waits 40 ms for the client's delayed acknowledgement.

    Raises:
        OSError: the address is taken or not ours.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
