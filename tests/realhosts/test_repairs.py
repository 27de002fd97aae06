"""Masters that exist and are not well: `create` leads each back on its own server, and nothing is lost with it.

One cluster stands for all of it: each state heals, and the next begins where it was left.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.realhosts.cluster import GATEWAY, Cluster, assert_at_rest, assert_whole
from tests.realhosts.killing import kill_once, said
from tests.realhosts.standing import MASTERS, WORKER, last_request, lose, standing, told, until, writes

from hetzner_k3s.lab.realhosts.handle import LabHandle

MASTER1, MASTER2, MASTER3 = MASTERS
DB = "/var/lib/rancher/k3s/server/db"
HEALTH = "curl -s -m 1 http://127.0.0.1:2381/health"
JOURNAL = "journalctl --boot --unit k3s --output cat --no-pager"


pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give the cluster that all tests of this file share."""
    with standing(lab, tmp_path_factory.mktemp("repairs")) as made:
        made.write_objects(MASTER1)
        yield made


@contextmanager
def nothing_is_lost(cluster: Cluster, survivors: tuple[str, ...]) -> Iterator[None]:
    """Demand a whole cluster on the servers that it had, with its objects; the survivors' k3s was not restarted."""
    reader = survivors[0] if survivors else MASTER1
    identity, objects = cluster.identity(reader), cluster.objects(reader)
    ids = {name: server["id"] for name, server in cluster.lab.servers().items()}
    processes = {name: cluster.process(name) for name in survivors}
    yield
    assert_whole(cluster)
    assert {name: server["id"] for name, server in cluster.lab.servers().items()} == ids
    for name in cluster.masters():
        assert cluster.identity(name) == identity
        assert cluster.objects(name) == objects
    assert {name: cluster.process(name) for name in survivors} == processes
    assert_at_rest(cluster)


def power_off(cluster: Cluster, *names: str) -> None:
    """Switch servers off through the API."""
    for name in names:
        cluster.lab.host(name).power_off()


def rebuild(cluster: Cluster, *names: str) -> None:
    """Rebuild a server in place, as a user does in the console: its id stays, its disk is new."""
    for name in names:
        cluster.lab.act(name, "rebuild", {"image": "debian-12"})
        _prints(cluster, name, "ls /var/lib/cloud/instance/boot-finished", "boot-finished")


def delete_database(cluster: Cluster, *names: str) -> None:
    """Delete the datastore of a master and keep its certificates; then it boots and k3s finds its own old member."""
    for name in names:
        cluster.lab.host(name).exec(f"rm -rf {DB}; sync", check=True)
        cluster.lab.act(name, "reboot")
        _prints(cluster, name, JOURNAL, "duplicate node name found")


def _prints(cluster: Cluster, server: str, script: str, words: str) -> None:
    until(lambda: words in told(cluster, server, script), f"{server} says: {words}", within=120.0)


def stop_k3s(cluster: Cluster, *names: str) -> None:
    """Stop k3s by hand."""
    for name in names:
        cluster.lab.host(name).exec("systemctl stop k3s", check=True)


def remove_while_away(cluster: Cluster, name: str) -> None:
    """Remove a master's member while its k3s is stopped, as another operator may; then it comes back with its data."""
    stop_k3s(cluster, name)
    number = next(m.id for m in cluster.members(MASTER1) if m.name.startswith(f"{name}-"))
    until(lambda: "member" in told(cluster, MASTER1, _remove(number)), f"{name} is no member", within=120.0)
    cluster.lab.host(name).exec("systemctl start --no-block k3s", check=True)
    _prints(cluster, name, "systemctl is-active k3s", "activating")


def _remove(number: str) -> str:
    return GATEWAY.format(call="cluster/member/remove", body=json.dumps({"ID": number}))


def rotate_token(cluster: Cluster, *restarted: str) -> None:
    """Rotate the token by hand and restart k3s where its file still holds the old one: it does not start again.

    k3s takes a file for newer than the datastore from three seconds on.
    """
    cluster.sh(MASTER1, "k3s token rotate --new-token another-password")
    old = time.monotonic() + 3.5
    until(lambda: time.monotonic() > old, "the rotation is old enough")
    for name in restarted:
        cluster.lab.host(name).exec("systemctl restart --no-block k3s", check=True)
        _prints(cluster, name, JOURNAL, "newer than datastore")


Strike = Callable[..., None]

REPAIRS: dict[str, tuple[Strike, tuple[str, ...], str]] = {
    "two of three powered off": (power_off, (MASTER1, MASTER2), "powering it on"),
    "rebuilt in place": (rebuild, (MASTER3,), ""),
    "database deleted, certificates kept": (delete_database, (MASTER1,), ""),
    "powered off": (power_off, (MASTER2,), "powering it on"),
    "k3s stopped": (stop_k3s, (MASTER2,), ""),
    "removed while it was away": (remove_while_away, (MASTER3,), ""),
}
QUICK = ("powered off", "rebuilt in place")


@pytest.mark.parametrize(
    "state", [state if state in QUICK else pytest.param(state, marks=pytest.mark.slow) for state in REPAIRS]
)
def test_a_master_that_is_there_is_led_back_on_its_own_server(state: str, cluster: Cluster) -> None:
    strike, victims, said = REPAIRS[state]
    survivors = tuple(name for name in MASTERS if name not in victims) if len(victims) == 1 else ()
    with nothing_is_lost(cluster, survivors):
        strike(cluster, *victims)
        done = cluster.create()
    assert said in done.stderr


@pytest.mark.slow
def test_a_repair_that_is_killed_is_gone_on_with(cluster: Cluster) -> None:
    """Killed when the old member of a rebuilt master is being removed, and again when the master joins."""
    with nothing_is_lost(cluster, (MASTER1, MASTER3)):
        rebuild(cluster, MASTER2)
        kill_once(cluster, lambda talk: said(talk, MASTER2, "removing its etcd member"), "create", within=180.0)
        kill_once(cluster, lambda talk: said(talk, MASTER2, "joining"), "create", within=180.0)
        cluster.create()


@pytest.mark.slow
def test_a_healthy_voter_that_we_cannot_reach_is_left_alone(cluster: Cluster) -> None:
    host = cluster.lab.host(MASTER2)
    with nothing_is_lost(cluster, MASTERS):
        host.cut_ssh()
        number = last_request(cluster.lab)
        done = cluster.create(expect=3)
        assert f"degraded: {MASTER2}" in done.stderr
        assert writes(cluster.lab, number) == []
        host.heal()


@pytest.mark.slow
def test_a_worker_made_anew_is_not_held_up_by_its_old_password(cluster: Cluster) -> None:
    """Its Node is deleted by hand, its secret stays, as older k3s leave it.

    See docs/facts/k3s.md#node-password.
    """
    identity, objects = cluster.identity(MASTER1), cluster.objects(MASTER1)
    processes = {name: cluster.process(name) for name in MASTERS}
    number, secret = cluster.lab.servers()[WORKER]["id"], f"{WORKER}.node-password.k3s"
    found = json.loads(cluster.kubectl(MASTER1, f"get secret {secret} -n kube-system -o json"))
    lose(cluster, WORKER)
    cluster.kubectl(MASTER1, f"delete node {WORKER} --wait=true --timeout=120s")
    until(lambda: secret not in cluster.kubectl(MASTER1, "get secrets -n kube-system -o name"), "its secret is gone")
    kept = {**found, "metadata": {"name": secret, "namespace": "kube-system"}}
    cluster.sh(MASTER1, f"printf %s '{json.dumps(kept)}' | k3s kubectl apply -f - >/dev/null")
    cluster.create()
    assert cluster.lab.servers()[WORKER]["id"] != number
    assert_whole(cluster)
    assert (cluster.identity(MASTER1), cluster.objects(MASTER1)) == (identity, objects)
    assert {name: cluster.process(name) for name in MASTERS} == processes
    assert_at_rest(cluster)


@pytest.mark.slow
def test_a_master_that_a_rotated_token_keeps_from_starting_is_revived(cluster: Cluster) -> None:
    """The last story of this cluster: until a user restarts k3s on a master, none takes the new token for a join."""
    with nothing_is_lost(cluster, (MASTER1, MASTER3)):
        rotate_token(cluster, MASTER2)
        cluster.create()
