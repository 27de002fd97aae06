"""The `typical` profile: starts, joins and fail-overs take what a real k3s took.

See docs/facts/k3s.md#timings.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .clusters import birth, lease_holder, token_of
from .rig import Host, Rig, eventually

pytestmark = [pytest.mark.realhosts, pytest.mark.slow]


@pytest.fixture(scope="module")
def first(new_rig: Callable[..., Rig]) -> Host:
    """Give the first server of a cluster at the vendor's pace; `started_at` is when its start began."""
    return birth(new_rig("typical"))


def start_joiner(first: Host, name: str) -> Host:
    host = first.rig.hosts.get(name) or first.rig.host(name)
    host.server_config(server=f"https://{first.address}:6443", token=token_of(first))
    return host.start()


def test_first_server(new_rig: Callable[..., Rig]) -> None:
    """Recorded: ping at 1.5, token at 2.8, active at 8.6, of which 2.5 went into etcd's first election (0.5 to 5)."""
    rig = new_rig("typical")
    host = rig.host("master1")
    host.server_config()
    host.start(environment={"K3S_CLUSTER_INIT": "true"})
    answered = eventually("ping", lambda: host.curl("https://127.0.0.1:6443/ping").body == "pong", 10)
    assert answered
    assert 1.2 < time.monotonic() - host.started_at < 3.5
    assert 5.5 < host.wait_ready() < 14
    rig.close()


def test_joining_second_server_left_to_k3s(first: Host) -> None:
    """Recorded: active after 22.9."""
    assert 18 < start_joiner(first, "master2").wait_ready(60) < 32


def test_joining_third_server_promoted_by_the_gateway(first: Host) -> None:
    """Recorded: active after 7.0 and 8.9, against 22 when the joiner's connection test comes before the promotion."""
    third = start_joiner(first, "master3")
    first.promote("master3", 30)
    assert 5 < third.wait_ready(60) < 15


def test_lease_of_a_dead_holder_moves_after_45_seconds(first: Host) -> None:
    """Recorded: 45 for k3s-etcd, 22 for kube-controller-manager; a Node deleted meanwhile waits."""
    second = first.rig.hosts["master2"]
    eventually("leads", lambda: lease_holder(first, "k3s-etcd") == "master1", 10)
    first.kill()
    killed = time.monotonic()
    eventually(
        "writes go on",
        lambda: "deleted" in second.kubectl("delete", "node", "master1", "--wait=false", check=False),
        40,
    )
    moved = eventually("moved", lambda: lease_holder(second, "k3s-etcd") in ("master2", "master3"), 90)
    assert moved
    assert 35 < time.monotonic() - killed < 65
    eventually("member gone", lambda: "master1" not in second.members(), 10)
