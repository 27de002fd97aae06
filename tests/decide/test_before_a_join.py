"""What is told of a cluster that is well, and what is looked at before anything joins it: clocks, alarms, versions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.oddities import alarmed, clock_off, encrypting, fresh, running_with
from tests.decide.world import (
    MASTER1,
    MASTER2,
    MASTER3,
    SPEC,
    WORKER1,
    bare,
    codes,
    edit_facts,
    healthy,
    lose,
    plan,
    replacement_of,
    server_id_of,
    unreachable,
    with_snapshot,
)

from hetzner_k3s.model.hosts.critical_config import critical_config, wanted_arguments
from hetzner_k3s.model.plan import Plan
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import InstallK3s

NEWER = "v1.37.0+k3s1"
OLDER = "v1.36.2+k3s1"


def running(state: ClusterState, name: str, version: str | None) -> ClusterState:
    return edit_facts(state, name, lambda f: replace(f, k3s_version=version))


def told(state: ClusterState) -> tuple[str, ...]:
    planned = plan(state)
    assert planned.settled, planned
    return planned.notes


def installed(planned: Plan) -> list[str]:
    return [p.step.version for p in planned.steps if isinstance(p.step, InstallK3s)]


def test_a_healthy_cluster_gives_no_occasion_for_a_word() -> None:
    assert told(healthy()) == ()


@pytest.mark.parametrize("name", [MASTER3, WORKER1])
def test_seconds_of_difference_are_told(name: str) -> None:
    assert told(clock_off(healthy(), name, -5.6)) == (f"the clock of {name} is 6 s behind that of {MASTER1}",)
    assert told(clock_off(healthy(), name, 4.9)) == ()


def test_a_machine_whose_own_clock_is_off_is_told_and_nothing_is_refused() -> None:
    state = healthy()
    for name in (*SPEC.master_names, *(worker.name for worker in SPEC.workers())):
        state = clock_off(state, name, 120.0)
    assert told(state) == ("this machine: its clock is 120 s behind the cluster's clock",)
    assert codes(clock_off(fresh(state, MASTER3), MASTER3, 125.0)) == []


def test_half_a_minute_lets_a_master_join() -> None:
    assert codes(clock_off(fresh(healthy(), MASTER3), MASTER3, 30.0)) == []


def test_a_clock_says_nothing_while_its_host_is_still_being_prepared() -> None:
    state = bare(lose(healthy(), MASTER3), SPEC, MASTER3, replacement_of(MASTER3))
    assert codes(clock_off(state, MASTER3, 300.0)) == []


def test_a_full_datastore_is_told_where_nothing_has_to_join() -> None:
    (note,) = told(alarmed(healthy(), MASTER2, "NOSPACE"))
    assert note.startswith(f"etcd has raised the alarm NOSPACE for {MASTER2}: free space")


def test_one_corrupt_member_is_no_word_about_the_others() -> None:
    refusals = plan(alarmed(healthy(), MASTER2, "CORRUPT")).refusals
    assert [r.code for r in refusals] == ["master.not-ready"]
    assert MASTER2 in refusals[0].saw


@pytest.mark.parametrize(
    ("others", "expected"),
    [((NEWER, OLDER), OLDER), ((NEWER, NEWER), NEWER), ((None, NEWER), NEWER), ((None, "odd"), str(SPEC.k3s_version))],
)
def test_a_replacement_gets_the_lowest_version_of_the_healthy(others: tuple[str | None, ...], expected: str) -> None:
    state = bare(lose(healthy(), MASTER3), SPEC, MASTER3, replacement_of(MASTER3))
    state = running(running(state, MASTER1, others[0]), MASTER2, others[1])
    state = with_snapshot_of_the_repair(state)
    planned = plan(state)
    assert installed(planned) == [expected]


def with_snapshot_of_the_repair(state: ClusterState) -> ClusterState:
    return with_snapshot(state, MASTER1, server_id_of(MASTER3))


def asking(**changes: object) -> ClusterSpec:
    return replace(SPEC, kubernetes_network=replace(SPEC.kubernetes_network, **changes))  # type: ignore[arg-type]


def running_with_what_the_file_says(state: ClusterState) -> ClusterState:
    return running_with(state, wanted_arguments(SPEC))


def test_a_file_that_the_masters_agree_with_gives_no_occasion_for_a_word() -> None:
    assert told(running_with_what_the_file_says(healthy())) == ()


def test_a_file_with_which_no_master_could_join_is_told() -> None:
    planned = plan(running_with_what_the_file_says(healthy()), asking(cluster_cidr="10.99.0.0/16,fd00::1/64"))
    assert planned.settled
    assert planned.left_alone == (
        "networking.cluster_cidr: prod has 10.244.0.0/16, the file says 10.99.0.0/16,fd00::/64; left as it is: all "
        "masters must agree on it for good, and no master could join with the file's value",
    )


def test_what_no_master_tells_is_not_compared() -> None:
    state = running_with(lose(healthy(), MASTER3), {"flannel-backend": "wireguard-native"})
    assert codes(state, asking(cluster_cidr="10.99.0.0/16")) == []


@pytest.mark.parametrize(
    ("changes", "flag", "value"),
    [
        ({"encryption": False}, "flannel-backend", "vxlan"),
        ({"cluster_domain": "example.org"}, "cluster-domain", "example.org"),
        ({"cluster_dns": "10.43.0.11"}, "cluster-dns", "10.43.0.11"),
    ],
)
def test_what_the_file_asks_for_in_k3s_words(changes: dict[str, object], flag: str, value: str) -> None:
    assert wanted_arguments(asking(**changes))[flag] == value


def test_addons_that_masters_must_agree_on() -> None:
    addons = replace(SPEC.addons, servicelb=True, embedded_registry_mirror=False)
    wanted = wanted_arguments(replace(SPEC, addons=addons))
    assert (wanted["disable=servicelb"], wanted["embedded-registry"]) == ("false", "false")
    everything = replace(addons, traefik=True, metrics_server=True, local_path_storage_class=True)
    assert "disable" not in critical_config(replace(SPEC, addons=everything))


def test_nothing_is_told_of_clocks_while_no_master_is_healthy() -> None:
    state = healthy()
    for name in SPEC.master_names:
        state = unreachable(state, name)
    assert plan(clock_off(state, WORKER1, 300.0)).notes == ()


def test_keys_of_secrets_that_rest_or_concern_nobody_who_joins_are_no_obstacle() -> None:
    lost = lose(healthy(), MASTER3)
    assert codes(encrypting(healthy(), master1="rotate-bb", master2="start-aa")) == []
    assert codes(encrypting(lost, master1="start-aa", master2="start-aa", master3="prepare-bb")) == []
    assert codes(encrypting(lost, master1="reencrypt_finished-cc", master2="reencrypt_finished-cc")) == []
