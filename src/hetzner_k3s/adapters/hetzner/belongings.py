"""Reads what servers use and do not take with them."""

from __future__ import annotations

import asyncio

from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.adapters.hetzner.listing import list_all
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
        protected=raw.child_or_empty("protection").flag_or("delete"),
    )


def floating_ip(raw: Document) -> Address:
    """Read a floating IP, which outlives any server."""
    return Address(
        kind="floating_ip",
        id=raw.whole("id"),
        name=raw.text("name"),
        ip=raw.text("ip"),
        server=_server(raw, "server"),
        labels=raw.text_map("labels"),
    )


def primary_ip(raw: Document) -> Address:
    """Read a primary IP."""
    return Address(
        kind="primary_ip",
        id=raw.whole("id"),
        name=raw.text("name"),
        ip=raw.text("ip"),
        server=_server(raw, "assignee_id"),
        labels=raw.text_map("labels"),
        goes_with_server=raw.flag("auto_delete"),
    )


def _server(raw: Document, field: str) -> int | None:
    return raw.whole(field) if field in raw else None
