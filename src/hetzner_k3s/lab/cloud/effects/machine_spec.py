"""A server in the words of the machines behind it."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.addresses import gateway_of, public_mac
from hetzner_k3s.lab.cloud.effects.machines import MachineSpec, PrivateNic
from hetzner_k3s.lab.cloud.records import Attachment, Server


def machine_spec(server: Server) -> MachineSpec:
    """Return everything a machine is made from."""
    return MachineSpec(
        server_id=server.id,
        name=server.name,
        location=server.location.name,
        network_zone=server.location.network_zone,
        image=server.image.name,
        architecture=server.server_type.architecture,
        public_ipv4=server.ipv4.ip if server.ipv4 else None,
        public_mac=public_mac(server.id),
        private=tuple(private_nic(place) for place in server.attachments),
        ssh_keys=server.ssh_keys,
        user_data=server.user_data,
    )


def private_nic(place: Attachment) -> PrivateNic:
    """Return a private interface."""
    network = place.network
    return PrivateNic(
        network_id=network.id,
        network_name=network.name,
        network_range=str(network.ip_range),
        subnet_range=str(place.subnet.ip_range),
        gateway=str(gateway_of(network.ip_range)),
        ip=str(place.ip),
        mac=place.mac,
    )
