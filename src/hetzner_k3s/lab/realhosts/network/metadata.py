"""Hetzner's metadata service: tells a host by its address who it is.

See docs/facts/hetzner-api.md#metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hetzner_k3s.lab.cloud.effects.machines import MachineSpec, PrivateNic

_ROOT = "/hetzner/v1"


def build_metadata_app(specs: Callable[[], Iterable[MachineSpec]]) -> Starlette:
    """Build the service; `specs` lists the present machines, of which the client must be one (404 otherwise)."""

    def answer(request: Request) -> Response:
        client = request.client.host if request.client else None
        spec = next((each for each in specs() if each.public_ipv4 == client), None)
        if spec is None:
            return PlainTextResponse("not found", status_code=404)
        return _document(spec, request.url.path.removeprefix(_ROOT).rstrip("/"))

    return Starlette(routes=[Route(f"{_ROOT}/{{path:path}}", answer)])


def _document(spec: MachineSpec, path: str) -> Response:
    if path == "/userdata":
        return PlainTextResponse(spec.user_data) if spec.user_data else Response(status_code=204)
    if path == "/metadata":
        return PlainTextResponse(_metadata(spec))
    values = {
        "hostname": spec.name,
        "instance-id": str(spec.server_id),
        "public-ipv4": spec.public_ipv4 or "",
        "availability-zone": spec.location,
        "region": spec.network_zone,
        "private-networks": _private_networks(spec.private),
    }
    name = path.removeprefix("/metadata/")
    return PlainTextResponse(values[name]) if name in values else PlainTextResponse("not found", status_code=404)


def _metadata(spec: MachineSpec) -> str:
    interface = {
        "mac_address": spec.public_mac,
        "name": "eth0",
        "type": "physical",
        "subnets": [{"type": "dhcp", "ipv4": True}],
    }
    document = {
        "availability-zone": spec.location,
        "hostname": spec.name,
        "instance-id": spec.server_id,
        "local-ipv4": spec.private[0].ip if spec.private else "",
        "network-config": {"version": 1, "config": [interface]},
        "public-ipv4": spec.public_ipv4 or "",
        "public-keys": list(spec.ssh_keys),
        "region": spec.network_zone,
        "vendor_data": "#cloud-config\n{}\n",
    }
    return yaml.safe_dump(document, sort_keys=False)


def _private_networks(nics: tuple[PrivateNic, ...]) -> str:
    # The cloud controller looks for the text "network_id: <id>\n": that key must not be the last.
    documents = [
        {
            "ip": nic.ip,
            "alias_ips": [],
            "interface_num": number,
            "mac_address": nic.mac,
            "network_id": nic.network_id,
            "network_name": nic.network_name,
            "network": nic.network_range,
            "subnet": nic.subnet_range,
            "gateway": nic.gateway,
        }
        for number, nic in enumerate(nics, start=1)
    ]
    return yaml.safe_dump(documents, sort_keys=False)
