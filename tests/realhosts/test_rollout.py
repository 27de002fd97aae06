"""A rollout on real hosts: another argument on every master, an API that answers, and one that does not come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.realhosts.cluster import Cluster, assert_at_rest, assert_whole, lost_writes, probing
from tests.realhosts.outside import watched_from_outside
from tests.realhosts.standing import MASTERS, WORKER, standing, until

from hetzner_k3s.lab.realhosts.handle import LabHandle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ELECTION = 10.0
"""Seconds for which the API may be away behind the load balancer: an election, and a look of its health check."""


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give a cluster behind a load balancer, which the tests of this file change."""
    with standing(lab, tmp_path_factory.mktemp("rollout"), workers=1, more=balanced()) as made:
        made.write_objects(MASTERS[0])
        yield made


def balanced(*arguments: str) -> str:
    """Return the lines of a file with a load balancer and these arguments of the API server."""
    listed = "".join(f'\n  - "{argument}"' for argument in arguments)
    return "create_load_balancer_for_the_kubernetes_api: true\n" + (
        f"kube_api_server_args:{listed}\n" if listed else ""
    )


def killed_after(cluster: Cluster, step: str, *command: str) -> None:
    """Run a command, a rollout without one, and kill it when it has told of a step."""
    process = cluster.start(*(command or ("create", "--rollout")))
    assert process.stderr is not None
    for line in process.stderr:
        if step in line:
            break
    process.kill()
    process.wait()


def test_an_argument_comes_to_every_master_while_the_api_answers(cluster: Cluster) -> None:
    identity, objects = cluster.identity(MASTERS[0]), cluster.objects(MASTERS[0])
    before = {name: cluster.process(name) for name in MASTERS}
    agent = cluster.process(WORKER, "k3s-agent")
    cluster.write_config(workers=1, more=balanced("max-requests-inflight=390"))
    left = cluster.create(expect=3)
    assert "without `--rollout`" in left.stderr
    with probing(cluster, list(MASTERS)):
        killed_after(cluster, "saving the snapshot")
        killed_after(cluster, "starting its k3s anew")
        killed_after(cluster, "is back")
        time.sleep(1)
        cluster.create("--rollout")
    for name in MASTERS:
        assert cluster.process(name) != before[name]
        assert "max-requests-inflight=390" in cluster.sh(name, "cat /etc/rancher/k3s/config.yaml")
        assert lost_writes(cluster, name, MASTERS[0]) == set()
        assert (cluster.identity(name), cluster.objects(name)) == (identity, objects)
    assert cluster.process(WORKER, "k3s-agent") == agent
    assert_whole(cluster)
    assert_at_rest(cluster)


def test_one_that_does_not_come_back_stops_the_wave(cluster: Cluster) -> None:
    before = {name: cluster.process(name) for name in MASTERS}
    cluster.config.write_text(cluster.config.read_text() + 'kube_scheduler_args:\n  - "v=2"\n')
    failed = cluster.create("--rollout", expect=1)
    assert "logging configuration" in failed.stderr
    changed = [name for name in MASTERS if cluster.process(name) != before[name]]
    assert len(changed) == 1
    cluster.write_config(workers=1, more=balanced("max-requests-inflight=380"))
    cluster.create("--rollout")
    until(lambda: cluster.run("status").returncode == 0, "all is well", within=150)
    assert_whole(cluster)


def test_another_server_type_comes_in_place(cluster: Cluster) -> None:
    """Every server is off for a while, masters one by one, workers drained; the API answers from outside."""
    before = ids(cluster)
    roll_out(cluster, "cpx22", "cpx32", killed=("shutting it down", "powering it on", "is back"))
    assert ids(cluster) == before
    assert {server["server_type"]["name"] for server in cluster.lab.servers().values()} == {"cpx32"}


def test_another_image_takes_other_servers(cluster: Cluster) -> None:
    before = ids(cluster)
    roll_out(cluster, "debian-12", "debian-13", killed=("saving the snapshot", "deleting the server", "is a voter"))
    assert not set(ids(cluster).values()) & set(before.values())
    assert {server["image"]["name"] for server in cluster.lab.servers().values()} == {"debian-13"}


def test_a_surge_server_takes_pods_before_a_worker_is_made_anew(cluster: Cluster) -> None:
    before, text = ids(cluster), cluster.config.read_text()
    old, new = ("debian-13", "debian-12") if "debian-13" in text else ("debian-12", "debian-13")
    cluster.config.write_text(text.replace(old, new))
    done = cluster.create("--rollout", "small", "--surge", "1", expect=3)  # masters are left as they are
    told = [" ".join(line.split()[1:]) for line in done.stderr.splitlines()]
    moments = (
        "pool-small-worker2 is Ready",
        "pool-small-worker1 deleting the server",
        "pool-small-worker1 is Ready",
        "pool-small-worker2 deleting the server",
    )
    assert sorted(moments, key=told.index) == [*moments], done.stderr
    after = ids(cluster)
    assert {name for name, number in after.items() if before[name] != number} == {WORKER}
    cluster.config.write_text(text)
    cluster.create("--rollout", "small")
    assert_whole(cluster)


def roll_out(cluster: Cluster, old: str, new: str, *, killed: tuple[str, ...]) -> None:
    """Change a word of the file and roll that out, killed at these moments first; nothing is lost, the API answers."""
    identity, objects = cluster.identity(MASTERS[0]), cluster.objects(MASTERS[0])
    cluster.config.write_text(cluster.config.read_text().replace(old, new))
    with watched_from_outside(cluster) as outside:
        for moment in killed:
            killed_after(cluster, moment)
        cluster.create("--rollout")
    as_before(cluster, identity, objects)
    assert outside.longest_gap() < ELECTION


def ids(cluster: Cluster) -> dict[str, int]:
    """Return the id of each server, by its name."""
    return {name: server["id"] for name, server in cluster.lab.servers().items()}


def as_before(cluster: Cluster, identity: tuple[str, str], objects: dict[str, Any]) -> None:
    """Assert that it is the same cluster with all its objects, whole, in use, and with nothing left to do."""
    for name in MASTERS:
        assert (cluster.identity(name), cluster.objects(name)) == (identity, objects)
    assert not [node for node in cluster.nodes(MASTERS[0]).values() if node["spec"].get("unschedulable")]
    assert_whole(cluster)
    assert_at_rest(cluster)
