"""A cluster that is as the file wants it is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    CLUSTER,
    FIRST_MASTER,
    FIRST_WORKER,
    MASTER1,
    MASTER2,
    NO_RECORD,
    NOW,
    SPEC,
    WORKER1,
    a_spec,
    born_record,
    edit_facts,
    edit_server,
    forecast,
    forgetful,
    healthy,
    in_order,
    lose,
    nothing,
    plan,
    recorded,
    server_of,
    verbs,
    waves,
    with_listing,
    with_server,
)

from hetzner_k3s import decide
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.plan import Plan, Reason, StepKey
from hetzner_k3s.model.steps import MarkMember, RecordBirth


@pytest.mark.parametrize("masters", [1, 3, 5])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("load_balancer", [True, False])
def test_a_healthy_cluster_has_an_empty_plan(masters: int, workers: int, load_balancer: bool) -> None:
    spec = a_spec(masters, workers, load_balancer)
    assert plan(healthy(spec), spec) == Plan()


def test_a_worker_beyond_the_file_is_noted_and_left_alone() -> None:
    state = healthy(a_spec(3, 3))
    decided = plan(state, a_spec(3, 2))
    assert decided.settled
    assert decided.notes == ("prod-pool-small-worker3 is beyond the file and is left as it is",)


def test_defaults_without_effect_are_named_in_the_plan() -> None:
    spec = replace(SPEC, not_yet=("the upgrade controller is not installed yet",))
    assert plan(healthy(spec), spec).notes == spec.not_yet


def test_a_cluster_beside_ours_changes_nothing() -> None:
    other = Server(
        id=901, name="other-master1", status=ServerStatus.RUNNING, labels={"cluster": "other", "role": "master"}
    )
    longer = replace(other, id=902, name="prod-eu-master1", labels={"cluster": "prod-eu", "role": "master"})
    assert plan(with_server(with_server(healthy(), other), longer)).settled


def test_a_machine_that_remembers_nothing_gets_kubeconfig_and_tokens() -> None:
    assert verbs(plan(forgetful(healthy())).steps) == ["KeepTokens prod", "WriteKubeconfig /home/someone/kubeconfig"]


def test_a_kubeconfig_with_other_addresses_is_written_anew() -> None:
    state = edit_server(healthy(), MASTER2, lambda s: replace(s, public_ipv4="192.0.2.99"))
    (step,) = plan(state).steps
    assert (step.key.verb, step.because) == ("WriteKubeconfig", "it names other addresses")


def test_an_api_that_cannot_be_read_stops_only_what_needs_it() -> None:
    state = replace(healthy(), kube={FIRST_MASTER: Unknown("timed out", NOW)})
    decided = plan(state)
    assert (decided.steps, decided.refusals) == ((), ())
    assert [wait.what for wait in decided.waits] == ["the Kubernetes API"]


def test_labels_that_a_killed_run_left_out_are_filled_in_from_the_others() -> None:
    view = healthy().view
    group = replace(view.placement_groups[0], labels={"cluster": CLUSTER, "role": "masters"})
    bare = replace(view.networks[0], labels={"cluster": CLUSTER})
    state = with_listing(healthy(), placement_groups=(group, *view.placement_groups[1:]), networks=(bare,))
    (step,) = plan(state).steps
    assert isinstance(step.step, RecordBirth)
    assert (step.step.record, step.reason) == (born_record(), Reason.UNFINISHED)
    assert waves(state) == [["RecordBirth born"]]
    assert NO_RECORD.labels() == {}


def test_a_record_that_has_lost_its_lineage_is_not_given_another_one() -> None:
    state = recorded(healthy(), replace(born_record(), lineage=None))
    state = with_listing(state, networks=(replace(state.view.networks[0], labels={"cluster": CLUSTER}),))
    assert "RecordBirth" not in {key.verb for key in in_order(state)}


def test_a_config_that_points_to_nobody_is_rewritten_without_a_restart() -> None:
    state = edit_facts(
        healthy(), MASTER1, lambda f: replace(f, disk=replace(f.disk, config_server="https://10.9.9.9:6443"))
    )
    (step,) = plan(state).steps
    assert step.key == StepKey(MarkMember, MASTER1)
    assert step.because == "its config.yaml names no living master"
    assert isinstance(step.step, MarkMember)
    assert step.step.rewrite_server_url == "https://10.0.0.102:6443"
    assert forecast(state).waves == ((step,),)


def test_a_config_that_points_to_the_load_balancer_is_right() -> None:
    state = edit_facts(
        healthy(), MASTER1, lambda f: replace(f, disk=replace(f.disk, config_server="https://10.0.9.40:6443"))
    )
    assert plan(state).settled


def test_the_builders_give_each_server_its_own_address() -> None:
    spec = a_spec(5, 600)
    addresses = {a for s in spec.servers() for a in server_of(spec, s.name).private_ips.values()}
    assert len(addresses) == 605
    assert server_of(spec, WORKER1).id == FIRST_WORKER


def test_masters_beyond_the_file_are_noted_and_left_alone() -> None:
    state = lose(healthy(a_spec(5)), "prod-master4")
    decided = plan(state, SPEC)
    assert not decided.refusals
    assert [step.key.verb for step in decided.steps] == ["WriteKubeconfig"]
    assert decided.notes == (
        "prod-master5 is beyond the file and is left as it is: a healthy voter",
        "prod-master4 is beyond the file and is left as it is: its server is gone, its etcd member is not",
    )


def test_everything_is_done_through_the_healthy_master_with_the_newest_data() -> None:
    assert decide.healthy_master(SPEC, healthy()) == FIRST_MASTER
    assert decide.healthy_master(SPEC, nothing()) is None
