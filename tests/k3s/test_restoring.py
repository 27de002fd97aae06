"""A restored server beside the Nodes of lost ones: second/01-08 driven anew (docs/facts/recordings.md#second)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .clusters import birth, join, token_of
from .recording import line
from .rig import PASSWORD, Host, Rig, eventually

pytestmark = pytest.mark.realhosts

OTHER = "10.0.0.40"
_PROVIDER = {"spec": {"providerID": "hcloud://14"}}


@pytest.fixture
def restored(new_rig: Callable[..., Rig]) -> Iterator[Callable[[str], Host]]:
    """Give what restores a lost server's snapshot on a fresh host with this address, not started yet."""
    rig = new_rig()
    first = birth(rig)
    join(rig, "master2", first)
    for name in ("master1", "master2"):
        initialize(first, name)
    first.kubectl("patch", "node", "master1", "--type", "merge", "-p", json.dumps(_PROVIDER))
    first.sh("k3s etcd-snapshot save --name full")
    saved = next(iter(first.path("/var/lib/rancher/k3s/server/db/snapshots").iterdir())).read_bytes()

    def restore(address: str) -> Host:
        fresh = rig.replace(first, address)
        fresh.path("/root/full").write_bytes(saved)
        fresh.server_config(token=PASSWORD)
        fresh.start("--cluster-reset", "--cluster-reset-restore-path=/root/full")
        assert fresh.wait_end() == 0
        return fresh

    yield restore
    rig.close()


def initialize(host: Host, name: str) -> None:
    """Take the taints off, as a cloud controller does."""
    host.kubectl("patch", "node", name, "--type", "merge", "-p", '{"spec":{"taints":null}}')


def node(host: Host, name: str = "master1") -> dict[str, Any]:
    found: dict[str, Any] = host.objects("node", name)
    return found


def internal_ip(found: dict[str, Any]) -> str:
    return next(str(row["address"]) for row in found["status"]["addresses"] if row["type"] == "InternalIP")


def nodes(host: Host) -> list[str]:
    return sorted(row["metadata"]["name"] for row in host.objects("nodes")["items"])


def test_k3s_ends_after_ready_beside_a_node_with_another_address(
    restored: Callable[[str], Host], recordings: Path
) -> None:
    """It says READY first, and then the recorded line; so at each start, for ever."""
    recorded = line((recordings / "second/01-f1-base.txt").read_text(), "Shutdown request received")
    fresh = restored(OTHER)
    for _ in range(2):
        fresh.start()
        assert fresh.wait_end() == 0
        assert fresh.is_ready()
        assert recorded in fresh.log
        assert "k3s is up and running" in fresh.log


def test_a_server_without_an_agent_outlives_the_old_nodes(restored: Callable[[str], Host], recordings: Path) -> None:
    """The old Node is claimed at once, so its finalizer waits for ever to remove the only member (second/02, 03)."""
    told = (recordings / "second/02-f1-a-stuck-finalizer.txt").read_text()
    refusal = re.search(r"etcdserver: re-configuration failed due to not enough started members", told)
    assert refusal is not None
    fresh = restored(OTHER)
    fresh.server_config(token=PASSWORD, disable_agent=True)
    fresh.start().wait_ready()
    address = "etcd.k3s.cattle.io/node-address"
    eventually("the claim", lambda: node(fresh)["metadata"]["annotations"].get(address) == OTHER, 10)
    fresh.kubectl("delete", "node", "master1", "master2", "--wait=false")
    eventually("the refusal", lambda: refusal[0] in fresh.log, 70, fresh.tail)
    eventually("the other's Node goes", lambda: nodes(fresh) == ["master1"], 20, fresh.tail)
    fresh.kubectl("patch", "node", "master1", "--type", "merge", "-p", '{"metadata":{"finalizers":null}}')
    eventually("its own goes", lambda: nodes(fresh) == [], 5, fresh.tail)
    fresh.stop()
    fresh.server_config(token=PASSWORD)
    fresh.start().wait_ready()
    eventually("the new Node", lambda: nodes(fresh) == ["master1"], 10, fresh.tail)
    anew = node(fresh)
    assert internal_ip(anew) == OTHER
    assert "providerID" not in anew["spec"]
    assert "node.cloudprovider.kubernetes.io/uninitialized" in [taint["key"] for taint in anew["spec"]["taints"]]
    initialize(fresh, "master1")
    assert list(fresh.members()) == ["master1"]
    assert token_of(fresh).endswith(PASSWORD)


def test_without_network_policies_the_old_node_stays(restored: Callable[[str], Host]) -> None:
    """It starts, and keeps the lost server's address and provider id (second/04)."""
    fresh = restored(OTHER)
    fresh.server_config(token=PASSWORD, disable_network_policy=True)
    fresh.start().wait_ready()
    eventually("its kubelet", lambda: node(fresh)["metadata"]["annotations"][_PROVIDED] == OTHER, 10)
    assert internal_ip(node(fresh)) == "10.0.0.2"
    assert node(fresh)["spec"]["providerID"] == "hcloud://14"


_READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
_PROVIDED = "alpha.kubernetes.io/provided-node-ip"


def test_on_the_old_address_the_old_node_goes_on(restored: Callable[[str], Host], recordings: Path) -> None:
    """It starts as it is (second/06); its provider id can never change (second/07)."""
    recorded = (recordings / "second/07-f1-d.txt").read_text()
    forbidden = re.search(r"The Node .* is invalid: (spec.providerID: Forbidden: .*)", recorded)
    assert forbidden is not None
    fresh = restored("10.0.0.2")
    fresh.start().wait_ready()
    eventually("its Node is Ready", lambda: "True" in fresh.kubectl("get", "node", "master1", "-o", _READY), 20)
    patch = ("patch", "node", "master1", "--type", "merge", "-p", '{"spec":{"providerID":"hcloud://15"}}')
    assert forbidden[1] in fresh.kubectl(*patch, check=False)
    assert node(fresh)["spec"]["providerID"] == "hcloud://14"
    assert fresh.process is not None
    assert fresh.process.poll() is None
