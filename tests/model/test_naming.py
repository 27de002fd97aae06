"""Names, labels and selectors are those of 2.6 (docs/facts/compatibility.md#resources)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_k3s.model import naming

CLUSTERS = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
POOLS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,15}", fullmatch=True)
TYPES = st.none() | st.sampled_from(["cpx22", "cax41", "ccx13", "cx11-ceph"])
NUMBERS = st.integers(1, 999)


def test_the_names_of_2_6() -> None:
    assert naming.master_name("c", 1) == "c-master1"
    assert naming.master_name("c", 2, "cpx22") == "c-cpx22-master2"
    assert naming.worker_name("c", "web", 3) == "c-pool-web-worker3"
    assert naming.worker_name("c", "web", 3, "cpx22") == "c-cpx22-pool-web-worker3"
    assert naming.masters_placement_group("c", 1) == "c-masters-pg1"
    assert naming.workers_placement_group("c", "web", 2) == "c-pool-web-workers-pg2"
    assert (naming.network("c"), naming.firewall("c"), naming.ssh_key("c")) == ("c", "c", "c")
    assert naming.api_load_balancer("c") == "c-api"
    assert naming.operator_lock("c") == "c-operator-lock"
    assert naming.birth_record_placement_group("c") == "c-masters-pg1"


def test_the_labels_of_2_6() -> None:
    assert naming.server_labels("c", naming.ROLE_MASTER) == {"cluster": "c", "role": "master"}
    assert naming.placement_group_labels("c") == {"cluster": "c", "role": "masters"}
    assert naming.placement_group_labels("c", "web") == {"cluster": "c", "role": "workers", "pool": "web"}
    assert naming.cluster_selector("c") == "cluster=c"
    assert naming.masters_selector("c") == "cluster=c,role=master"
    assert naming.members_selector("c") == "cluster=c,role=master,hetzner-k3s/state=member"


def test_ten_servers_a_group() -> None:
    assert [naming.placement_group_index(number) for number in (1, 10, 11, 20, 21)] == [1, 1, 2, 2, 3]


@given(cluster=CLUSTERS, number=NUMBERS, kind=TYPES)
def test_a_masters_name_is_known_for_one(cluster: str, number: int, kind: str | None) -> None:
    found = naming.master_name_pattern(cluster).fullmatch(naming.master_name(cluster, number, kind))
    assert found is not None
    assert found[1] == str(number)


@given(cluster=CLUSTERS, pool=POOLS, number=NUMBERS, kind=TYPES)
def test_a_workers_name_is_known_for_one(cluster: str, pool: str, number: int, kind: str | None) -> None:
    found = naming.worker_name_pattern(cluster).fullmatch(naming.worker_name(cluster, pool, number, kind))
    assert found is not None
    assert found[2] == str(number)


@pytest.mark.parametrize(
    "name",
    ["c-master", "c-master0", "c-master1x", "xc-master1", "c.master1", "cmaster1", "d-master1", "c-prod-master1"],
)
def test_other_names_are_no_masters(name: str) -> None:
    assert naming.master_name_pattern("c").fullmatch(name) is None


def test_a_worker_of_a_pool_called_postmaster_is_no_master() -> None:
    """2.6 asks for `master` anywhere in the name and puts such workers behind the API load balancer."""
    assert naming.master_name_pattern("c").fullmatch("c-pool-postmaster-worker1") is None
    assert naming.master_name_pattern("webmaster").fullmatch("webmaster-pool-a-worker1") is None
