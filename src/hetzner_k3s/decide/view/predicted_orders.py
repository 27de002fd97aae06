"""What servers look like that were ordered, for the forecast: as the file says, under made up ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hetzner_k3s.decide.view.predictions import PREDICTED_IDS
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import CloudView, Server, ServerStatus
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState


def with_servers(state: ClusterState, spec: ClusterSpec, names: Sequence[str]) -> ClusterState:
    """Let servers run that nobody has spoken to yet; those that are there already are adopted."""
    network, servers = lookup.network_id(spec, state.view), list(state.view.servers)
    at = {server.name: place for place, server in reversed(list(enumerate(servers)))}
    wanted = {server.name: server for server in spec.servers()} if set(names) - set(at) else {}
    number = max((s.id for s in servers if s.id >= PREDICTED_IDS), default=PREDICTED_IDS)
    for name in names:
        private = {} if network is None else {network: f"(address of {name})"}
        if name in at:
            servers[at[name]] = _running(servers[at[name]], private)
        else:
            at[name] = len(servers)
            number += 1
            servers.append(_ordered(spec, state.view, wanted[name], number, private))
    return state.with_view(replace(state.view, servers=tuple(servers)))


def _running(server: Server, private: Mapping[int, str]) -> Server:
    return replace(
        server,
        status=ServerStatus.RUNNING,
        public_ipv4=server.public_ipv4 or _public_address(server.name),
        private_ips={**private, **server.private_ips},
    )


def _public_address(name: str) -> str:
    return f"(public address of {name})"


def _ordered(
    spec: ClusterSpec, view: CloudView, wanted: MasterSpec | WorkerSpec, server_id: int, private: Mapping[int, str]
) -> Server:
    """Return a server as it is ordered: nothing about it is otherwise than the file says."""
    group = lookup.placement_group(wanted.placement_group, view) if wanted.placement_group else None
    return Server(
        id=server_id,
        name=wanted.name,
        status=ServerStatus.RUNNING,
        server_type=wanted.instance_type,
        image=(wanted.image,),
        location=wanted.location,
        placement_group=group.id if group is not None else None,
        labels={
            **naming.server_labels(spec.name, wanted.role, surge=wanted.surge),
            naming.LABEL_BOOT_KEY: "(made at boot)",
        },
        public_ipv4=_public_address(wanted.name),
        private_ips=private,
    )
