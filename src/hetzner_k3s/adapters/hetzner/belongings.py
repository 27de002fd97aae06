"""Reads what servers use and do not take with them."""

from __future__ import annotations

import asyncio

from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.adapters.hetzner.listing import list_all
from hetzner_k3s.adapters.hetzner.translate import protected
from hetzner_k3s.model.hetzner.belongings import Address, Belongings, Volume
from hetzner_k3s.model.text.documents import Document


async def read(api: Api) -> Belongings:
    """List volumes, floating IPs and primary IPs at once, each proven complete."""
    volumes, floating, primary = await asyncio.gather(
        *(list_all(api, kind) for kind in ("volumes", "floating_ips", "primary_ips"))
    )
    return Belongings(
        volumes=tuple(map(volume, volumes)), addresses=(*map(floating_ip, floating), *map(primary_ip, primary))
    )


def volume(raw: Document) -> Volume:
    """Read a volume."""
    return Volume(
        id=raw.whole("id"),
        name=raw.text("name"),
        size=raw.whole("size"),
        server=_server(raw, "server"),
        labels=raw.text_map("labels"),
        protected=protected(raw),
    )


def floating_ip(raw: Document) -> Address:
    """Read a floating IP, which outlives any server."""
    return _address(raw, "floating_ip", _server(raw, "server"))


def primary_ip(raw: Document) -> Address:
    """Read a primary IP."""
    return _address(raw, "primary_ip", _server(raw, "assignee_id"), goes_with_server=raw.flag("auto_delete"))


def _address(raw: Document, kind: str, server: int | None, *, goes_with_server: bool = False) -> Address:
    return Address(
        kind=kind,
        id=raw.whole("id"),
        name=raw.text("name"),
        ip=raw.text("ip"),
        server=server,
        labels=raw.text_map("labels"),
        goes_with_server=goes_with_server,
    )


def _server(raw: Document, field: str) -> int | None:
    return raw.whole(field) if field in raw else None
