"""Measures planning: one plan and the whole forecast of clusters of 10, 100 and 1,000 nodes from nothing.

Prints figures; nothing is asserted (budget: 0.2 s to plan 1,000 nodes, docs/architecture.md#budgets).
Usage: python bench/plan.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from hetzner_k3s import addons, decide
from hetzner_k3s.decide.forecast import predict
from hetzner_k3s.decide.preflight.orders import NETWORK_TAKES
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import CloudView
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.plan import Intent, Verb
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, NetworkSpec, PoolSpec, SshSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.version import K3sVersion

_BUDGET = 0.2
_MASTERS = 3

T = TypeVar("T")


def main() -> None:
    """Measure and print."""
    for nodes in (10, 100, 1000):
        whole, once, waves = measure(a_spec(nodes))
        sys.stdout.write(
            f"{nodes:5} nodes   plan of a finished cluster {1000 * once:7.1f} ms ({once / _BUDGET:4.0%} of budget)"
            f"   forecast from nothing {1000 * whole:7.1f} ms ({whole / _BUDGET:4.0%}) in {waves} waves\n"
        )


def measure(spec: ClusterSpec) -> tuple[float, float, int]:
    """Give the seconds of a forecast from nothing, of a plan of what it ends in, and the number of waves."""
    intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec))
    state = ClusterState(observed_at=0.0, cloud=Known(CloudView()))
    forecast, whole = _timed(lambda: decide.forecast(spec, state, intent))
    for wave in forecast.waves:
        for planned in wave:
            state = predict(spec, state, planned.step)
    _, once = _timed(lambda: decide.plan(spec, state, intent))
    return whole, once, len(forecast.waves)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """Give a result and the seconds of processor time that it took: the best of three, on a machine that is shared."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        result = work()
        best = min(best, time.process_time() - began)
    return result, best


def a_spec(nodes: int) -> ClusterSpec:
    """Return the wish for a cluster of so many nodes, three of them masters.

    A private network takes 100 servers, and a cluster of more is refused with one before anything is planned.
    """
    workers = tuple(_worker(index) for index in range(1, nodes - _MASTERS + 1))
    pool = PoolSpec(
        name="a", instance_type="cpx22", location="fsn1", image="debian-13", count=len(workers), workers=workers
    )
    return ClusterSpec(
        name="bench",
        hetzner_token=Secret("t"),
        kubeconfig_path="/nowhere",
        k3s_version=K3sVersion.parse("v1.36.3+k3s1"),
        masters=tuple(_master(index) for index in range(1, _MASTERS + 1)),
        pools=(pool,),
        network=NetworkSpec(private=nodes <= NETWORK_TAKES),
        ssh=SshSpec(private_key_path=None, public_key_path="/nowhere.pub", public_key="ssh-ed25519 AAAA"),
    )


def _master(index: int) -> MasterSpec:
    return MasterSpec(
        name=naming.master_name("bench", index),
        index=index,
        location="fsn1",
        instance_type="cpx22",
        image="debian-13",
        placement_group=naming.masters_placement_group("bench", 1),
    )


def _worker(index: int) -> WorkerSpec:
    return WorkerSpec(
        name=naming.worker_name("bench", "a", index),
        index=index,
        location="fsn1",
        instance_type="cpx22",
        image="debian-13",
        pool="a",
    )


if __name__ == "__main__":
    main()
