"""Hetzner's cloud controller has its effect on Nodes however it was installed: as a chart, or by its manifest."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from hetzner_k3s.lab.k3s.api.resources import DEPLOYMENTS, NAMESPACES, NODES, SECRETS, Obj
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.cloud import HCLOUD_CONTROLLER, CloudController
from hetzner_k3s.lab.k3s.node import node_object
from hetzner_k3s.lab.simulated.virtual_time import run

from .memory_kv import MemoryKeyValues

ADDRESSES = [{"address": "10.0.0.2", "type": "InternalIP"}, {"address": "n1", "type": "Hostname"}]


EXTERNAL = {"address": "198.51.100.7", "type": "ExternalIP"}


def deployment(network: bool) -> Obj:
    """Return the controller as its manifest with a network, or the other one, has it."""
    container = {"name": "controller", "env": [{"name": "HCLOUD_NETWORK"}] if network else []}
    return {"metadata": {"name": HCLOUD_CONTROLLER}, "spec": {"template": {"spec": {"containers": [container]}}}}


async def initialized(with_secret: bool, installed: bool = True, posted: bool = True, network: bool = True) -> Obj:
    """Let a controller look at a Node that waits for it."""
    store = Store(MemoryKeyValues())
    await store.create(NAMESPACES, {"metadata": {"name": "kube-system"}})
    registration = node_object.Registration(
        name="n1",
        addresses=("10.0.0.2",),
        version="v1.36.3+k3s1",
        server=False,
        external_cloud=True,
        host=node_object.Host(2, 1, "6.12", "Debian", "m", "b", instance_id="4711", public_ipv4="198.51.100.7"),
    )
    await store.create(NODES, node_object.new(registration))
    if posted:
        await store.change(NODES, "n1", "", lambda old: old | {"status": {"addresses": ADDRESSES}}, "status")
    if installed:
        await store.create(DEPLOYMENTS, deployment(network), "kube-system")
    if with_secret:
        data = {"token": "t", "network": "n"}
        await store.create(SECRETS, {"metadata": {"name": "hcloud"}, "stringData": data}, "kube-system")
    controller = asyncio.create_task(CloudController(store, built_in=False).run())
    await asyncio.sleep(3)
    controller.cancel()
    return await store.get(NODES, "n1")


@pytest.mark.parametrize("posted", [True, False])
def test_installed_as_a_deployment_it_initializes_nodes(posted: bool) -> None:
    """Whether it comes to the Node before or after the kubelet posts what it was given."""
    node = run(initialized(with_secret=True, posted=posted))
    assert node["spec"]["providerID"] == "hcloud://4711"
    assert not node["spec"]["taints"]
    assert node["status"]["addresses"] == [*ADDRESSES, EXTERNAL]


def test_without_a_network_it_leaves_no_internal_ip() -> None:
    node = run(initialized(with_secret=True, network=False))
    assert node["status"]["addresses"] == [ADDRESSES[1], EXTERNAL]
    assert node_object.internal_ip(node) == "198.51.100.7", "as kube-router reads it"


@pytest.mark.parametrize(("with_secret", "installed"), [(False, True), (True, False)])
def test_without_its_secret_or_itself_nothing_happens(with_secret: bool, installed: bool) -> None:
    node: Any = run(initialized(with_secret, installed))
    assert "providerID" not in node["spec"], json.dumps(node)
    assert node_object.UNINITIALIZED in {taint["key"] for taint in node["spec"]["taints"]}
    assert node["status"]["addresses"] == ADDRESSES
