"""Finds a cluster's own resources in a listing, by the names and labels of `naming`."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import CloudView, Firewall, LoadBalancer, Network, PlacementGroup, Server, SshKey
from hetzner_k3s.model.hosts.contact import InternalIps, PrivateIps, PublicIps
from hetzner_k3s.model.identity import BirthRecord, RecordConflict, merge_records, read_record
from hetzner_k3s.model.spec import ClusterSpec


def network(spec: ClusterSpec, view: CloudView) -> Network | None:
    """Find the cluster's private network, its own or the existing one that the file names, if it wants one."""
    return _network_named(spec.network_name, view) if spec.network.private else None


def network_id(spec: ClusterSpec, view: CloudView) -> int | None:
    """Return the id of the cluster's private network."""
    found = network(spec, view)
    return found.id if found else None


def internal_ips(spec: ClusterSpec, view: CloudView) -> InternalIps:
    """Return at which of its addresses a server of the cluster is a node to the others."""
    return PrivateIps(network_id(spec, view)) if spec.network.private else PublicIps()


def lacks_network(spec: ClusterSpec, view: CloudView) -> bool:
    """Check whether the private network that the file wants is not there."""
    return spec.network.private and network(spec, view) is None


def network_of_our_name(spec: ClusterSpec, view: CloudView) -> Network | None:
    """Find the network that carries our name; where the file wants none, one without our label is somebody else's."""
    found = None if spec.network.existing_network_name else _network_named(naming.network(spec.name), view)
    return found if found and (spec.network.private or is_owned(spec.name, found.labels)) else None


def _network_named(name: str, view: CloudView) -> Network | None:
    return next((n for n in view.networks if n.name == name), None)


def fingerprint(public_key: str) -> str | None:
    """Return the MD5 by which Hetzner shows a public key (docs/facts/hetzner-api.md#ssh-keys), None if it is no key."""
    try:
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        return None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def ssh_key(spec: ClusterSpec, view: CloudView) -> SshKey | None:
    """Find the operator's key by fingerprint, as 2.6 does: under whatever name it was registered."""
    wanted = fingerprint(spec.ssh.public_key)
    return next((k for k in view.ssh_keys if k.fingerprint == wanted), None)


def firewall(spec: ClusterSpec, view: CloudView) -> Firewall | None:
    """Find the cluster's firewall."""
    return next((f for f in view.firewalls if f.name == naming.firewall(spec.name)), None)


def load_balancer(spec: ClusterSpec, view: CloudView) -> LoadBalancer | None:
    """Find the load balancer of the Kubernetes API."""
    return next((b for b in view.load_balancers if b.name == naming.api_load_balancer(spec.name)), None)


def api_addresses(spec: ClusterSpec, view: CloudView) -> tuple[str, ...]:
    """Return the addresses of the API's load balancer, the public one first."""
    balancer = load_balancer(spec, view)
    if balancer is None:
        return ()
    public = (balancer.public_ipv4,) if balancer.public_ipv4 else ()
    return (*public, *balancer.private_ips.values())


def placement_group(name: str, view: CloudView) -> PlacementGroup | None:
    """Find a placement group by name."""
    return next((g for g in view.placement_groups if g.name == name), None)


def is_owned(cluster: str, labels: Mapping[str, str]) -> bool:
    """Check whether a resource carries the cluster's label."""
    return labels.get(naming.LABEL_CLUSTER) == cluster


def deletable_load_balancer(spec: ClusterSpec, view: CloudView) -> LoadBalancer | None:
    """Return the load balancer of the API where it carries the cluster's label, so that `delete` takes it."""
    found = load_balancer(spec, view)
    return found if found and is_owned(spec.name, found.labels) else None


def made_network(spec: ClusterSpec, view: CloudView) -> Network | None:
    """Return the network that the file has made for the cluster: none where it wants none, or one that exists."""
    return None if spec.network.existing_network_name else network(spec, view)


def own_network(spec: ClusterSpec, view: CloudView) -> Network | None:
    """Return the network that was made for the cluster."""
    found = network_of_our_name(spec, view)
    return found if found and is_owned(spec.name, found.labels) else None


def network_is_shared(spec: ClusterSpec, view: CloudView) -> bool:
    """Check whether servers of others are attached to the cluster's network."""
    ours = own_network(spec, view)
    return ours is not None and any(
        ours.id in s.private_ips and not is_owned(spec.name, s.labels) for s in view.servers
    )


def deletable_network(spec: ClusterSpec, view: CloudView) -> Network | None:
    """Return the network that `delete` takes: the cluster's own, unless servers of others are attached to it."""
    return None if network_is_shared(spec, view) else own_network(spec, view)


def deletable_groups(spec: ClusterSpec, view: CloudView) -> tuple[PlacementGroup, ...]:
    """Return the placement groups that `delete` takes: all of the cluster's but the operator lock."""
    lock = naming.operator_lock(spec.name)
    return tuple(g for g in view.placement_groups if is_owned(spec.name, g.labels) and g.name != lock)


def owned_servers(cluster: str, view: CloudView) -> tuple[Server, ...]:
    """Return the servers that carry the cluster's label."""
    return tuple(s for s in view.servers if is_owned(cluster, s.labels))


def owned_masters(cluster: str, view: CloudView) -> tuple[Server, ...]:
    """Return the servers labelled as masters of the cluster."""
    return tuple(s for s in owned_servers(cluster, view) if s.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER)


def shared_carriers(spec: ClusterSpec, view: CloudView) -> tuple[PlacementGroup | Network | Firewall, ...]:
    """Return what carries the birth record beside the masters: their first group, our own network, the firewall."""
    group = placement_group(naming.birth_record_placement_group(spec.name), view)
    carriers = (group, made_network(spec, view), firewall(spec, view))
    return tuple(carrier for carrier in carriers if carrier is not None)


def outlived_labels(spec: ClusterSpec, view: CloudView, server: Server) -> tuple[str, ...]:
    """Name what a master's server says of data that is gone from it: that it was a member, and of an earlier lineage.

    The present lineage stays: it is a part of the birth record, which every master carries.
    """
    record = birth_record(spec, view)
    present = isinstance(record, BirthRecord) and server.labels.get(naming.LABEL_LINEAGE) == record.lineage
    told = (naming.LABEL_STATE,) if present else naming.MEMBER_LABELS
    return tuple(label for label in told if label in server.labels)


def birth_record(spec: ClusterSpec, view: CloudView) -> BirthRecord | RecordConflict:
    """Read the birth record from everything that may carry it (docs/architecture.md#birth-record), as the union."""
    return merge_records(_told_records(spec, view))


def recorded_seeds(spec: ClusterSpec, view: CloudView) -> frozenset[int]:
    """Return the server ids that any carrier of the record names as seed: two, where beginning anew was cut off."""
    return frozenset(record.seed for record in _told_records(spec, view) if record.seed is not None)


def _told_records(spec: ClusterSpec, view: CloudView) -> tuple[BirthRecord, ...]:
    """Read what each carrier tells; what is written first comes first.

    A network that was made for the cluster tells of its birth also to a file that wants none.
    """
    left = () if spec.network.private else (network_of_our_name(spec, view),)
    carriers = (*shared_carriers(spec, view), *left, *owned_masters(spec.name, view))
    return tuple(read_record(carrier.labels) for carrier in carriers if carrier is not None)
