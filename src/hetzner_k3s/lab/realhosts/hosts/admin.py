"""The lab's own interface to its hosts, below `/_lab/hosts`: what runs, and what can be broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hetzner_k3s.lab.cloud.effects.machines import MachineSpec
from hetzner_k3s.lab.realhosts.command import CommandError
from hetzner_k3s.lab.realhosts.hosts.machines import RealMachines
from hetzner_k3s.lab.realhosts.network.fabric import Fabric

_Fault = Callable[[], Awaitable[None]]


def hosts_routes(machines: RealMachines, fabric: Fabric) -> list[Route]:
    """Return the routes; like the rest of `/_lab` they want the admin token.

    `GET /_lab/hosts`; `POST /_lab/hosts/{name}/{fault}` with the faults `kill` (the power is cut; the cloud sees a
    server that is off), `cut-ssh`, `cut-public`, `cut-private`, `cut-private-to?host=NAME`, `heal` (undoes all cuts),
    `freeze`, `thaw`.
    """
    admin = _HostsAdmin(machines, fabric)
    return [
        Route("/_lab/hosts", admin.list, methods=["GET"]),
        Route("/_lab/hosts/{name}/{fault}", admin.strike, methods=["POST"]),
    ]


class _HostsAdmin:
    def __init__(self, machines: RealMachines, fabric: Fabric) -> None:
        self._machines = machines
        self._fabric = fabric

    async def list(self, _: Request) -> Response:
        """List the hosts."""
        return JSONResponse({"hosts": [self._view(spec) for spec in self._machines.specs]})

    async def strike(self, request: Request) -> Response:
        """Do one thing to one host; 404 when there is no such host or fault."""
        spec = self._find(request.path_params["name"])
        other = self._find(request.query_params.get("host", ""))
        if spec is None:
            return _unknown(f"host {request.path_params['name']}")
        fault = self._faults(spec.server_id, other).get(request.path_params["fault"])
        if fault is None:
            return _unknown(f"fault {request.path_params['fault']}")
        try:
            await fault()
        except (OSError, LookupError, CommandError) as problem:
            return JSONResponse({"error": f"that cannot be done to {spec.name} now: {problem}"}, status_code=409)
        return Response(status_code=204)

    def _faults(self, server_id: int, other: MachineSpec | None) -> dict[str, _Fault]:
        cuts = self._fabric.faults
        group = self._machines.group(server_id)

        def cut(what: set[Any], key: Any) -> _Fault:
            async def apply() -> None:
                what.add(key)
                await self._fabric.refilter()

            return apply

        async def heal() -> None:
            cuts.heal(server_id)
            await self._fabric.refilter()

        faults: dict[str, _Fault] = {
            "kill": lambda: self._machines.power_off(server_id),
            "cut-ssh": cut(cuts.ssh_cut, server_id),
            "cut-public": cut(cuts.public_cut, server_id),
            "cut-private": cut(cuts.private_cut, server_id),
            "heal": heal,
            "freeze": lambda: asyncio.to_thread(group.freeze),
            "thaw": lambda: asyncio.to_thread(group.thaw),
        }
        if other is not None:
            faults["cut-private-to"] = cut(cuts.private_pairs_cut, frozenset((server_id, other.server_id)))
        return faults

    def _find(self, name: str) -> MachineSpec | None:
        return next((spec for spec in self._machines.specs if spec.name == name), None)

    def _view(self, spec: MachineSpec) -> dict[str, Any]:
        return {
            "id": spec.server_id,
            "name": spec.name,
            "public_ipv4": spec.public_ipv4,
            "private": [nic.ip for nic in spec.private],
            "running": self._machines.is_running(spec.server_id),
            "group": str(self._machines.group(spec.server_id).unified),
        }


def _unknown(what: str) -> Response:
    return JSONResponse({"error": f"no such {what}"}, status_code=404)
