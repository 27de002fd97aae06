"""What each call of the ports to Hetzner and to Kubernetes asks, request by request and with its body."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx2
from tests.recorded import held

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.adapters.system import SystemRng
from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS
from hetzner_k3s.lab.simulated import virtual_time
from hetzner_k3s.lab.simulated.wires.hetzner_transport import ENDPOINT
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model.cloud import FirewallRule
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import Leaving
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, NodeKeys
from hetzner_k3s.model.kubernetes.run_history import CONFIG_MAP, PastRun
from hetzner_k3s.model.secrets import Secret

from . import mischief
from .clusters import MASTER1, WORKER1, a_spec
from .story import Story, healthy
from .test_hetzner_transport import KEY, LABELS, ordered

_RECORDED = Path(__file__).parent / "recorded_requests"
_IDS = re.compile(r"\b1000\d{4}\b|[0-9a-f]{8}-[0-9a-f-]{27}|(?<=resourceVersion\": \")\d+")
"""Numbers of resources, actions and versions, UIDs."""


class Written(httpx2.AsyncBaseTransport):
    """Writes down each request before it goes on its way."""

    def __init__(self, way: httpx2.AsyncBaseTransport, lines: list[str]) -> None:
        self._way, self._lines = way, lines

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raw = request.content.decode()
        body = json.dumps(json.loads(raw), sort_keys=True) if raw else ""
        kind = request.headers.get("content-type", "").removeprefix("application/")
        marks = f" [{kind}]" if kind not in {"", "json"} else ""
        path = request.url.raw_path.decode().removeprefix("/v1/") if request.url.host != "localhost" else ""
        self._lines.append(_IDS.sub("*", f"{request.method} {path}{marks} {body}".rstrip()))
        return await self._way.handle_async_request(request)

    async def aclose(self) -> None:
        await self._way.aclose()


def _asked_of_hetzner(tale: Callable[[HetznerCloud], Awaitable[Any]]) -> str:
    """Return what a tale asks of Hetzner, each request once, in the order of its first time."""
    lines: list[str] = []

    async def tell() -> None:
        async with world(1) as place:
            session = place.session("demo")
            cloud = HetznerCloud(
                Secret(session.token),
                clock=session.clock,
                rng=SystemRng(),
                endpoint=ENDPOINT,
                transport=Written(session.hetzner, lines),
            )
            await tale(cloud)

    virtual_time.run(tell())
    return "\n".join([*dict.fromkeys(lines), ""])


def test_a_server_and_what_it_needs() -> None:
    async def tale(cloud: HetznerCloud) -> None:
        order = await ordered(cloud)
        group = await cloud.create_placement_group("demo-pg1", LABELS)
        server = await cloud.create_server(replace(order, placement_group=group.id, ipv6=False))
        await cloud.find_server(server.name)
        await cloud.server_exists(server.id)
        await cloud.placement_group(group.id)
        await cloud.merge_labels("server", server.id, {"more": "yes", "cluster": None})
        await cloud.last_rebuild(server.id)
        await cloud.power_on(server.id)
        await cloud.delete("server", server.id)
        await cloud.delete("placement_group", group.id)
        await cloud.delete("ssh_key", order.ssh_key)
        assert order.network is not None
        await cloud.delete("network", order.network)

    held(_RECORDED / "server.txt", _asked_of_hetzner(tale))


def test_a_firewall_and_a_load_balancer() -> None:
    async def tale(cloud: HetznerCloud) -> None:
        network = await cloud.create_network("demo", "10.0.0.0/16", "eu-central", LABELS)
        rule = FirewallRule(direction="in", protocol="tcp", port="22", networks=("0.0.0.0/0",), description="ssh")
        firewall = await cloud.create_firewall("demo", [rule], "cluster=demo", LABELS)
        await cloud.set_firewall_rules(firewall.id, [rule])
        await cloud.apply_firewall(firewall.id, "role=master")
        balancer = await cloud.create_load_balancer("demo-api", "fsn1", network.id, "cluster=demo", LABELS)
        await cloud.correct_load_balancer(balancer.id, network.id, "role=master")
        await cloud.balanced(balancer.id)
        await cloud.delete("load_balancer", balancer.id)
        await cloud.delete("firewall", firewall.id)

    held(_RECORDED / "firewall-and-balancer.txt", _asked_of_hetzner(tale))


def test_a_look_at_the_project_and_at_what_is_on_offer() -> None:
    async def tale(cloud: HetznerCloud) -> None:
        await cloud.survey()
        await cloud.servers()
        await cloud.assortment(frozenset({"debian-13"}))
        await cloud.create_ssh_key("demo", KEY)
        await cloud.create_ssh_key("other", KEY)

    held(_RECORDED / "looks.txt", _asked_of_hetzner(tale))


def _asked_of_kubernetes(tale: Callable[[K3sApi, HostTarget, Story], Awaitable[None]]) -> str:
    """Return what a tale asks of a master's API, each request once, in the order of its first time."""
    lines: list[str] = []

    async def tell() -> None:
        async with healthy(1, a_spec(masters=1, workers=1)) as story:
            host = story.world.host(MASTER1)
            keys = {host.disk.host_key: HostKeyKind.FINAL}
            master = HostTarget(
                server_id=host.server_id, name=MASTER1, address=host.addresses[-1], port=host.ssh_port, keys=keys
            )
            await tale(_kube(story.world, lines), master, story)

    virtual_time.run(tell())
    return "\n".join([*dict.fromkeys(lines), ""])


def _kube(place: World, lines: list[str]) -> K3sApi:
    session = place.session("prod")
    return K3sApi(
        hosts=session.hosts,
        forwarder=session.hosts,
        clock=session.clock,
        transport=lambda admin: Written(session.kube.trusting(base64.b64decode(admin.ca)), lines),
    )


def test_nodes_and_what_they_carry() -> None:
    async def tale(kube: K3sApi, master: HostTarget, _story: Story) -> None:
        node = (await kube.view(master)).node(WORKER1)
        assert node is not None
        change = NodeChange(labels={"tier": "gold", "old": None}, taints={"a:NoSchedule": "b"}, ours=NodeKeys())
        await kube.label_node(master, WORKER1, node.uid, change)
        await kube.mark_leaving(master, WORKER1, Leaving.DRAINED)
        await kube.mark_leaving(master, WORKER1, None)
        await kube.last_heartbeat(master, WORKER1)
        await kube.wait_node_ready(master, WORKER1, 60.0)
        await kube.load_of(master, WORKER1)
        await kube.delete_node_password(master, WORKER1)
        await kube.delete_node(master, WORKER1, node.uid, release=True)

    held(_RECORDED / "nodes.txt", _asked_of_kubernetes(tale))


def test_the_history_of_runs() -> None:
    async def tale(kube: K3sApi, master: HostTarget, story: Story) -> None:
        run = PastRun(run="ab12", who="eva@desk", began=1.8e9, command="create", code=0, seconds=1.0)
        await kube.note_run(master, run)
        await kube.past_runs(master)
        await mischief.store(story.world).delete(CONFIGMAPS, CONFIG_MAP, "kube-system")
        await kube.note_run(master, run)

    held(_RECORDED / "history.txt", _asked_of_kubernetes(tale))


def test_manifests() -> None:
    async def tale(kube: K3sApi, master: HostTarget, _story: Story) -> None:
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "kube-system"}}
        chart = {
            "apiVersion": "helm.cattle.io/v1",
            "kind": "HelmChart",
            "metadata": {"name": "h", "namespace": "kube-system"},
        }
        await kube.apply(master, [cast(Any, {**config, "data": {"a": "b"}}), cast(Any, {**chart, "spec": {}})])

    held(_RECORDED / "manifests.txt", _asked_of_kubernetes(tale))
