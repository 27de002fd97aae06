"""Protobuf's wire format, as far as it is read here: varints and length-delimited fields. Pure."""

from __future__ import annotations

from collections.abc import Iterator


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) of a message: an int for varints, bytes for strings, bytes and messages.

    Raises:
        ValueError: a truncated message or a wire type that Kubernetes and etcd do not use here.
    """
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, at = varint(message, at)
        if tag & 7 == 0:
            yield tag >> 3, number
        elif tag & 7 == 2:
            if at + number > len(message):
                raise ValueError("truncated message")
            yield tag >> 3, message[at : at + number]
            at += number
        else:
            raise ValueError(f"unexpected wire type {tag & 7}")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a varint; give it and the position after it."""
    result = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("truncated message")
        byte = data[at]
        result |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return result, at
