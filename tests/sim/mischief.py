"""What people, and other programs, do to a cluster by hand: each a few lines beside the tool."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence

from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS, NODES, SECRETS, Obj
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.nodes import NAME_ANNOTATION
from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.model_data import forget_others
from hetzner_k3s.lab.k3s.node.node_object import UNINITIALIZED, internal_ip
from hetzner_k3s.lab.k3s.trust import node_password, tokens
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.lab.simulated.k3s import ca_rotation, k3s_files
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model import naming
from hetzner_k3s.model.operations.operation import K3sRole

from .clusters import CLUSTER

AGENT = K3sRole.AGENT


def leading(world: World) -> Server:
    """Give the k3s whose etcd leads."""
    servers = [host.server for host in world.site.hosts.values()]
    return next(s for s in servers if s is not None and s.etcd is not None and s.etcd.leads)


def leader(world: World) -> str:
    """Name the server whose etcd leads."""
    return leading(world).name


def store(world: World) -> Store:
    """Give the objects."""
    found = leading(world).store
    assert found is not None
    return found


def etcd(world: World) -> ModelEtcd:
    """Give the leading etcd."""
    found = leading(world).etcd
    assert found is not None
    return found


async def lease_holder(world: World) -> str:
    """Name the master whose k3s removes the members of Nodes that are deleted."""
    found = await etcd(world).get("/registry/leases/kube-system/k3s-etcd")
    holder: str = json.loads(found.entries[0].value)["spec"]["holderIdentity"]
    return holder


async def election_over(world: World) -> None:
    """Wait until somebody leads."""
    await faults.until(lambda: any(peer.leads for peer in world.site.peers.members()), "an election")


async def forget_node(world: World, name: str) -> None:
    """Delete a Node at once, its finalizers notwithstanding; its member and its secret stay."""
    key = NODES.key("", name)
    found = await etcd(world).get(key)
    await etcd(world).delete(key, found.entries[0].mod_revision)


async def take_taint_off(world: World, name: str) -> None:
    """Take the taint off that waits for a cloud controller, as `kubectl taint node NAME KEY-` does."""

    def untainted(old: Obj) -> Obj:
        taints = [taint for taint in old["spec"].get("taints", ()) if taint["key"] != UNINITIALIZED]
        return old | {"spec": old["spec"] | {"taints": taints}}

    await store(world).change(NODES, name, "", untainted)


async def move_node(world: World, name: str, address: str) -> str:
    """Write another address into a Node, as that of a lost server is; gives the one before."""
    before: list[str] = []

    def moved(old: Obj) -> Obj:
        before.append(internal_ip(old))
        rows = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
        return old | {"status": old["status"] | {"addresses": rows}}

    await store(world).change(NODES, name, "", moved, "status")
    return before[-1]


def k3s_ends(host: Host) -> None:
    """Let a k3s server end by itself; systemd starts it again."""
    assert host.server is not None
    host.server.exit("somebody killed it")


async def delete_node(world: World, name: str) -> None:
    """Delete a Node as `kubectl delete node` does."""
    await store(world).delete(NODES, name)


async def remove_member(world: World, name: str) -> None:
    """Remove the member of a node; the Node stays."""
    victim = next(m for m in await etcd(world).members() if m.name.startswith(f"{name}-"))
    await etcd(world).remove(victim.id)


async def stick_node(world: World, name: str) -> None:
    """Have a Node that is being deleted wait for ever: it lacks the annotations that its finalizer needs."""

    def unannotated(old: Obj) -> Obj:
        kept = {key: value for key, value in old["metadata"]["annotations"].items() if key != NAME_ANNOTATION}
        return old | {"metadata": old["metadata"] | {"annotations": kept}}

    await store(world).change(NODES, name, "", unannotated)
    await store(world).delete(NODES, name)


async def encryption(world: World, name: str, state: str) -> None:
    """Have k3s note on a Node how far a change of the keys of secrets is: `<stage>-<digest>`."""

    def noted(old: Obj) -> Obj:
        annotations = {**(old["metadata"].get("annotations") or {}), naming.ANNOTATION_ENCRYPTION: state}
        return old | {"metadata": old["metadata"] | {"annotations": annotations}}

    await store(world).change(NODES, name, "", noted)


async def node(world: World, name: str) -> Obj:
    """Read a Node."""
    found = await store(world).find(NODES, name)
    assert found is not None
    return found


async def claim_server(world: World, name: str, server_id: int) -> None:
    """Have a kubelet write into its own Node that it is of another server."""

    def claimed(old: Obj) -> Obj:
        annotations = {**(old["metadata"].get("annotations") or {}), naming.ANNOTATION_SERVER_ID: str(server_id)}
        return old | {"metadata": old["metadata"] | {"annotations": annotations}}

    await store(world).change(NODES, name, "", claimed)


async def leave_password(world: World, name: str) -> None:
    """Leave a node password of another host behind."""
    metadata = {"name": node_password.secret_name(name), "namespace": "kube-system"}
    body = {"metadata": metadata, "type": "k3s.cattle.io/node-password", "data": {"hash": "b2xk"}}
    await store(world).create(SECRETS, body, "kube-system")


def make_server(world: World, name: str, labels: dict[str, str]) -> None:
    """Make a server by hand, in the cluster's network."""
    networks = list(world.project.networks)[:1]
    body = {"name": name, "server_type": "cpx22", "image": "debian-13", "location": "fsn1"}
    order = {**body, "networks": networks, "labels": labels}
    assert "error" not in faults.ask(world, "POST", "/servers", json.dumps(order).encode())


async def servers_run(world: World) -> None:
    """Wait until every server runs."""
    servers = world.project.servers.values()
    await faults.until(
        lambda: all(s.status == "running" and world.site.hosts[s.id].ssh_up for s in servers), "all servers"
    )


def master_labels() -> dict[str, str]:
    """Give the labels of a master of the cluster, as somebody would copy them."""
    return naming.server_labels(CLUSTER, naming.ROLE_MASTER)


def server_unit_stopped(host: Host) -> None:
    """Stop k3s."""
    host.units[K3sRole.SERVER].stop()


def start(host: Host) -> None:
    """Start k3s."""
    host.units[K3sRole.SERVER].start()


def without_server_line(host: Host) -> None:
    """Take the line `server:` out of `config.yaml`."""
    lines = (host.disk.config or "").splitlines()
    host.disk.config = "\n".join(line for line in lines if not line.startswith("server:")) + "\n"


def reset_quorum(host: Host) -> None:
    """Reset a stopped host's etcd to be its cluster's only member, as `k3s server --cluster-reset` does."""
    assert host.disk.drive.data is not None
    host.disk.member_name = f"{host.name}-{host.chance.token_hex(4)}"
    forget_others(host.disk.drive.data, host.disk.member_name)


def give_birth(host: Host, *, keep_tls: bool) -> None:
    """Begin another cluster on a stopped host, as a careless hand does."""
    host.disk.remove_database()
    if not keep_tls:
        host.disk.server.clear()
        host.disk.token = None
    without_server_line(host)
    host.permit = True
    start(host)


async def reborn(world: World, host: Host) -> None:
    """Wait until the other cluster serves."""
    await faults.until(lambda: host.server is not None and host.server.api_ready, f"the cluster on {host.name}")
    world.site.peers.settle()


async def second_cluster(world: World, name: str, *, keep_tls: bool) -> Host:
    """Begin another cluster on a master, as a careless hand does; that birth is not the tool's and is not counted."""
    host = world.host(name)
    server_unit_stopped(host)
    give_birth(host, keep_tls=keep_tls)
    await reborn(world, host)
    world.site.births.pop()
    return host


async def reset_by_hand(world: World, host: Host) -> None:
    """Make a master the only member of its cluster, by hand, and start it."""
    server_unit_stopped(host)
    reset_quorum(host)
    start(host)
    await reborn(world, host)


async def fenced(world: World, names: Sequence[str]) -> None:
    """Wait until the data of these was moved aside."""
    await faults.until(lambda: all(world.host(name).disk.fenced for name in names), "the fence")


async def rotate_token(world: World, host: Host, password: str) -> None:
    """Rotate the cluster's token on one master: datastore and that host follow, the other hosts do not."""
    assert host.disk.token is not None
    old = tokens.parse(host.disk.token).password
    found = await etcd(world).get(tokens.storage_key(old))
    k3s_files.write_passwd(host.disk, password, world.clock.now())
    await etcd(world).put(tokens.storage_key(password), k3s_files.seal(host.disk.server, password), 0)
    await etcd(world).delete(tokens.storage_key(old), found.entries[0].mod_revision)
    host.disk.token = tokens.full(host.disk.server_ca or b"", password)


async def rotate_ca(world: World, restart: Sequence[str] | None = None) -> None:
    """Rotate the cluster's CA as k3s' own script does, and restart k3s on these masters, on every one by default.

    Until its restart nothing changes on a master; they are restarted one by one, the next when the last one votes.
    """
    await ca_rotation.rotate_ca(world.site.hosts[leading(world).host.server_id])
    running = [h.name for h in world.site.hosts.values() if h.server is not None and h.server.api_ready]
    for name in running if restart is None else restart:
        await restart_master(world, name)


async def restart_master(world: World, name: str) -> None:
    """Restart k3s on a master, and wait until it serves again."""
    host = world.host(name)
    server_unit_stopped(host)
    start(host)

    def votes() -> bool:
        server = host.server
        return server is not None and server.api_ready and server.member().healthy

    await faults.until(votes, f"{name} to serve again")
    await asyncio.sleep(20)  # the others see its Node and its lease again


def restart_worker(world: World, name: str) -> None:
    """Restart k3s on a worker."""
    unit = world.host(name).units[K3sRole.AGENT]
    unit.stop()
    unit.start()


def another_machine_answers(host: Host) -> None:
    """Let a machine with another host key answer at a server's address."""
    host.disk.host_key = "somebody-else"


async def add_learner(world: World, address: str) -> None:
    """Add a learner that never starts."""
    await etcd(world).add_learner(f"https://{address}:2380")


def break_api(world: World) -> None:
    """Let every API server die while etcd goes on."""
    for host in world.site.hosts.values():
        if host.server is not None:
            host.server.api_ready = False
            host.server.log("apiserver exited: context deadline exceeded", "error")


async def changed(world: World, seconds: float) -> None:
    """Let time pass."""
    await asyncio.sleep(seconds)
    world.check()


async def delete_everything(world: World, *, but: Sequence[str] = ()) -> None:
    """Delete all that is in the project in Hetzner's console, but what is of these kinds."""
    for number, firewall in world.project.firewalls.items():
        applied = [{"type": "label_selector", "label_selector": {"selector": m.text}} for m in firewall.selectors]
        body = json.dumps({"remove_from": applied}).encode()
        faults.ask(world, "POST", f"/firewalls/{number}/actions/remove_from_resources", body)
    for kind in ("servers", "load_balancers", "firewalls", "placement_groups", "networks", "ssh_keys"):
        left = getattr(world.project, kind) if kind not in but else {}
        for number in list(left):
            await _delete(world, kind, number, left)


async def _delete(world: World, kind: str, number: int, there: Mapping[int, object]) -> None:
    await faults.insist(world, "DELETE", f"/{kind}/{number}", lambda: number not in there)


def forget_record(world: World) -> None:
    """Take every label of the birth record off what is left of a cluster."""
    project = world.project
    carriers = (project.servers, project.networks, project.firewalls, project.placement_groups)
    for carrier in (found for kind in carriers for found in kind.values()):
        kept = {key: value for key, value in carrier.labels.items() if key not in naming.BIRTH_RECORD_LABELS}
        carrier.labels = kept


def masters(world: World) -> list[Host]:
    """Give the hosts on which k3s serves."""
    return [host for host in world.site.hosts.values() if host.server is not None]


def another_kubeconfig(machine: OperatorMachine) -> None:
    """Put the kubeconfig of another cluster of this name where this one's lies."""
    authority = base64.b64encode(b"of another cluster").decode()
    key = "certificate-authority-data"
    text = re.sub(f"{key}: .*", f"{key}: {authority}", machine.kubeconfig or "")
    assert authority in text
    machine.kubeconfig = text


async def overwrite_lineage(world: World, lineage: str) -> None:
    """Write a lineage into the cluster's own ConfigMap, as a backup of kube-system does that is put back."""
    note = {"data": {"lineage": lineage}}
    await store(world).change(CONFIGMAPS, "hetzner-k3s", "kube-system", lambda old: old | note)


def with_labels(world: World, name: str, labels: dict[str, str]) -> None:
    """Change a server's labels."""
    server = world.server(name)
    assert server is not None
    server.labels = {**server.labels, **labels}
