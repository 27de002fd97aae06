"""A run is killed with SIGKILL at every point where that could hurt; the next one finishes what it began."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.realhosts.cluster import NAME, Cluster, assert_at_rest, assert_whole
from tests.realhosts.killing import Call, hanging, kill_after, kill_at, kill_once, peek, said
from tests.realhosts.standing import lose

from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.model import naming

BOOT_KEY, HOST_KEY, NEXT_KEY = "hetzner-k3s/boot-key", "hetzner-k3s/host-key", "hetzner-k3s/host-key-next"
PHASE = "hetzner-k3s/phase"
RECORDED = ("phase", "seed", "ca", "uid", "lineage")
LOCK, RECORD = f"{NAME}-operator-lock", f"{NAME}-masters-pg1"
MASTER1, MASTER2, WORKER1 = f"{NAME}-master1", f"{NAME}-master2", f"{NAME}-pool-small-worker1"


def labels(cluster: Cluster, server: str) -> dict[str, str]:
    """Read the labels of a server."""
    found: dict[str, str] = cluster.lab.servers()[server]["labels"]
    return found


def groups(cluster: Cluster) -> dict[str, dict[str, str]]:
    """Read the labels of the placement groups, by name."""
    return {group["name"]: group["labels"] for group in cluster.lab.resources("placement_groups")}


def phases(cluster: Cluster) -> set[str | None]:
    """Read what phase the masters' labels tell."""
    return {labels(cluster, master).get(PHASE) for master in cluster.masters()}


def record_path(cluster: Cluster) -> str:
    """Give the API path of the placement group that carries the birth record."""
    number = next(g["id"] for g in cluster.lab.resources("placement_groups") if g["name"] == RECORD)
    return f"/placement_groups/{number}"


def server_path(cluster: Cluster, server: str) -> str:
    """Give the API path of a server."""
    return f"/servers/{cluster.lab.servers()[server]['id']}"


def offered_key(cluster: Cluster, server: str) -> str:
    """Give the host key that a server's sshd has on its disk, as labels name it."""
    blob = peek(cluster, server, "cut -d ' ' -f 2 /etc/ssh/ssh_host_ed25519_key.pub")
    return base64.b32encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=").lower()


def starts(cluster: Cluster, server: str, unit: str = "k3s") -> bool:
    """Tell whether a unit is on its way to being active."""
    return peek(cluster, server, f"systemctl is-active {unit}") == "activating"


def first(cluster: Cluster) -> str | None:
    """Name the master that the cluster began on, whichever was ready first; None when it was lost since."""
    seed = groups(cluster)[RECORD]["hetzner-k3s/seed"]
    return next((name for name, server in cluster.lab.servers().items() if str(server["id"]) == seed), None)


def begun_on(cluster: Cluster) -> str:
    """Name the master that the cluster begins on."""
    name = first(cluster)
    assert name is not None
    return name


def voters(cluster: Cluster, server: str) -> int:
    """Count the voters in a master's member list."""
    return sum(not member.learner for member in cluster.members(server))


def after_the_lock(cluster: Cluster) -> None:
    kill_at(cluster, Call("POST", "/placement_groups", carried_out=True), "create")
    assert set(groups(cluster)) == {LOCK}
    assert not cluster.lab.resources("networks")


def after_half_the_servers(cluster: Cluster) -> None:
    kill_at(cluster, Call("POST", "/servers", carried_out=False, skip=2), "create")
    assert len(cluster.lab.servers()) == 2


def after_the_label_of_the_next_key(cluster: Cluster) -> None:
    """Both paths at once: the key of a server that this run made is installed, of another the next key is announced."""
    lost = set(cluster.lab.servers())

    def installed(_: str) -> bool:
        made = set(cluster.lab.servers()) - lost
        return any(offered_key(cluster, s) == labels(cluster, s)[HOST_KEY] for s in made)

    with no_birth(cluster):
        kill_at(cluster, Call("PUT", r"/servers/\d+", carried_out=True), "create", also=installed)
    assert len(cluster.lab.servers()) == 4
    announced = [s for s in lost if NEXT_KEY in labels(cluster, s)]
    assert announced
    for server in announced:
        assert offered_key(cluster, server) == labels(cluster, server)[BOOT_KEY]


def before_the_next_key_is_promoted(cluster: Cluster) -> None:
    server = announced_server(cluster)
    with no_birth(cluster):
        kill_at(cluster, Call("PUT", server_path(cluster, server), carried_out=False, skip=1), "create")
    assert offered_key(cluster, server) == labels(cluster, server)[NEXT_KEY]


def after_the_next_key_is_promoted(cluster: Cluster) -> None:
    server = announced_server(cluster)
    with no_birth(cluster):
        kill_at(cluster, Call("PUT", server_path(cluster, server), carried_out=True), "create")
    assert offered_key(cluster, server) == labels(cluster, server)[HOST_KEY]
    assert NEXT_KEY not in labels(cluster, server)


def announced_server(cluster: Cluster) -> str:
    """Name the first server with a key that waits to be promoted."""
    return next(s for s in sorted(cluster.lab.servers()) if NEXT_KEY in labels(cluster, s))


def no_birth(cluster: Cluster) -> AbstractContextManager[object]:
    """Keep other servers, whose keys are done, from going on to the birth."""
    return hanging(cluster.lab, Call("PUT", record_path(cluster), carried_out=False))


def halfway_through_the_record_of_the_seed(cluster: Cluster) -> None:
    kill_at(cluster, Call("PUT", record_path(cluster), carried_out=True), "create")
    assert groups(cluster)[RECORD][PHASE] == "bootstrapping"
    assert phases(cluster) == {None}


def while_the_first_master_starts(cluster: Cluster) -> None:
    kill_once(cluster, lambda _: any(starts(cluster, master) for master in cluster.masters()), "create")
    assert groups(cluster)[RECORD][PHASE] == "bootstrapping"


def before_the_birth_is_recorded(cluster: Cluster) -> None:
    kill_at(cluster, Call("PUT", record_path(cluster), carried_out=False), "create")
    assert groups(cluster)[RECORD][PHASE] == "bootstrapping"
    assert cluster.identity(begun_on(cluster))
    assert cluster.births() == 1


def halfway_through_the_record(cluster: Cluster) -> None:
    kill_at(cluster, Call("PUT", record_path(cluster), carried_out=True), "create")
    assert groups(cluster)[RECORD][PHASE] == "born"
    assert "born" not in phases(cluster)


def while_a_worker_joins(cluster: Cluster) -> None:
    def joining(talk: str) -> bool:
        return said(talk, WORKER1, "joining") and starts(cluster, WORKER1, "k3s-agent")

    kill_once(cluster, joining, "create")
    node = cluster.nodes(begun_on(cluster)).get(
        WORKER1
    )  # an agent starts for as long as its Node waits for the cloud controller
    assert node is None or naming.ANNOTATION_SERVER_ID not in node["metadata"]["annotations"]


def while_masters_join(cluster: Cluster) -> None:
    def joining(talk: str) -> bool:
        return any(said(talk, master, "joining") and starts(cluster, master) for master in cluster.masters())

    kill_once(cluster, joining, "create")


def before_the_lock_is_released(cluster: Cluster) -> None:
    taken_over = int(LOCK in groups(cluster))
    kill_at(cluster, Call("DELETE", r"/placement_groups/\d+", carried_out=False, skip=taken_over), "create")
    assert set(cluster.nodes(MASTER1)) == set(cluster.lab.servers())
    assert LOCK in groups(cluster)


def after_the_replacement_is_asked_for(cluster: Cluster) -> None:
    kill_at(cluster, Call("POST", "/servers", carried_out=True), "create")
    assert MASTER2 in cluster.masters()
    assert len(cluster.members(MASTER1)) == 3


def after_the_dead_member_is_removed(cluster: Cluster) -> None:
    kill_once(cluster, lambda _: len(cluster.members(MASTER1)) == 2, "create")
    assert voters(cluster, MASTER1) == 2


def while_the_replacement_joins(cluster: Cluster) -> None:
    kill_once(cluster, lambda talk: said(talk, MASTER2, "joining") and starts(cluster, MASTER2), "create")
    assert voters(cluster, MASTER1) == 2


def halfway_through_marking_as_deleting(cluster: Cluster) -> None:
    kill_at(cluster, Call("PUT", record_path(cluster), carried_out=True), "delete", "--force")
    assert groups(cluster)[RECORD][PHASE] == "deleting"
    assert phases(cluster) == {"born"}


def after_half_the_servers_are_deleted(cluster: Cluster) -> None:
    kill_at(cluster, Call("DELETE", r"/servers/\d+", carried_out=False, skip=2), "delete", "--force")
    assert len([s for s in cluster.lab.servers().values() if s["status"] != "deleting"]) == 2


def before_the_record_is_deleted(cluster: Cluster) -> None:
    kill_at(cluster, Call("DELETE", record_path(cluster), carried_out=False), "delete", "--force")
    assert set(groups(cluster)) == {LOCK, RECORD}
    assert not cluster.lab.servers()


def before_the_lock_of_the_deletion_is_released(cluster: Cluster) -> None:
    going = len(groups(cluster))
    kill_at(cluster, Call("DELETE", r"/placement_groups/\d+", carried_out=False, skip=going), "delete", "--force")
    assert set(groups(cluster)) == {LOCK}


Kill = Callable[[Cluster], None]

CREATING: tuple[Kill, ...] = (
    after_the_lock,
    after_half_the_servers,
    after_the_label_of_the_next_key,
    before_the_next_key_is_promoted,
    after_the_next_key_is_promoted,
    halfway_through_the_record_of_the_seed,
    while_the_first_master_starts,
    before_the_birth_is_recorded,
    halfway_through_the_record,
    while_a_worker_joins,
    while_masters_join,
    before_the_lock_is_released,
)
REPAIRING: tuple[Kill, ...] = (
    after_the_replacement_is_asked_for,
    after_the_dead_member_is_removed,
    while_the_replacement_joins,
)
DELETING: tuple[Kill, ...] = (
    halfway_through_marking_as_deleting,
    after_half_the_servers_are_deleted,
    before_the_record_is_deleted,
    before_the_lock_of_the_deletion_is_released,
)


NEEDED: dict[Kill, tuple[Kill, ...]] = {
    after_the_label_of_the_next_key: CREATING[1:2],
    before_the_next_key_is_promoted: CREATING[1:3],
    after_the_next_key_is_promoted: CREATING[1:4],
    halfway_through_the_record_of_the_seed: CREATING[1:2],
    before_the_birth_is_recorded: (while_the_first_master_starts,),
    halfway_through_the_record: (while_the_first_master_starts,),
}
"""Kills that a point takes for granted: a server whose final key is lost, a resource that a call is pinned to."""


def test_a_run_killed_at_every_point_one_after_another(fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path)
    for kill in CREATING:
        kill(cluster)
    converge(cluster)

    identity = cluster.identity(MASTER1)
    lose(cluster, MASTER2)
    for kill in REPAIRING:
        kill(cluster)
    converge(cluster)
    assert {cluster.identity(master) for master in cluster.masters()} == {identity}

    for kill in DELETING:
        kill(cluster)
    cluster.delete()
    assert_nothing_left(cluster)


@pytest.mark.slow
@pytest.mark.parametrize("kill", CREATING)
def test_the_next_create_converges(kill: Kill, fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path)
    for earlier in NEEDED.get(kill, ()):
        earlier(cluster)
    kill(cluster)
    converge(cluster)


@pytest.mark.slow
@pytest.mark.parametrize("kill", REPAIRING)
def test_the_next_create_repairs(kill: Kill, fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path)
    cluster.create()
    identity = cluster.identity(MASTER1)
    lose(cluster, MASTER2)
    kill(cluster)
    converge(cluster)
    assert {cluster.identity(master) for master in cluster.masters()} == {identity}


@pytest.mark.slow
@pytest.mark.parametrize("kill", DELETING)
def test_the_next_delete_finishes(kill: Kill, fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path)
    cluster.create()
    kill(cluster)
    cluster.delete()
    assert_nothing_left(cluster)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kills_at_any_moment(seed: int, fresh_lab: LabHandle, tmp_path: Path) -> None:
    moments = random.Random(seed)
    cluster = Cluster(fresh_lab, tmp_path)
    for _ in range(4):
        kill_after(cluster, moments.uniform(0.3, 12.0), "create")
    cluster.create()
    assert_whole(cluster)
    assert cluster.births() == 1
    identity = cluster.identity(MASTER1)
    for victim in moments.sample(cluster.masters(), 2):
        lose(cluster, victim)
        for _ in range(3):
            kill_after(cluster, moments.uniform(0.3, 6.0), "create")
        cluster.create()
        assert_whole(cluster)
        assert {cluster.identity(master) for master in cluster.masters()} == {identity}
    kill_after(cluster, moments.uniform(0.1, 1.5), "delete", "--force")
    cluster.delete()
    assert_nothing_left(cluster)


def converge(cluster: Cluster) -> None:
    """Run `create`, which takes the dead run's lock over at once, to the end of all work; there is one cluster."""
    assert LOCK in groups(cluster)
    assert "held by" not in cluster.create().stderr
    assert_whole(cluster)
    assert_recorded(cluster)
    assert cluster.births() == (1 if first(cluster) is not None else 0), "its journal goes with the first master"
    assert_at_rest(cluster)


def assert_recorded(cluster: Cluster) -> None:
    """Assert that everything that carries the birth record carries all of it."""
    shared = [cluster.lab.resources(kind)[0]["labels"] for kind in ("networks", "firewalls")]
    carriers = [groups(cluster)[RECORD], *shared, *(labels(cluster, master) for master in cluster.masters())]
    records = [{part: carrier.get(f"hetzner-k3s/{part}") for part in RECORDED} for carrier in carriers]
    assert None not in records[0].values()
    assert records == [records[0]] * len(records)
    ca, uid = cluster.identity(MASTER1)
    assert (records[0]["phase"], records[0]["ca"], records[0]["uid"]) == ("born", ca[:40], uid)


def assert_nothing_left(cluster: Cluster) -> None:
    """Assert that the project holds nothing of the cluster."""
    kinds = ("servers", "networks", "firewalls", "placement_groups", "ssh_keys", "load_balancers")
    assert {kind: cluster.lab.resources(kind) for kind in kinds} == {kind: [] for kind in kinds}
