"""The token after a rotation: files are rewritten, what runs is left running, nothing is removed for a join in vain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.oddities import NEW_TOKEN, OLD_TOKEN, holding, kept_out, rotated, with_tokens
from tests.decide.world import (
    CA,
    CLUSTER,
    CREATE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    OTHER_CA,
    SPEC,
    WORKER1,
    codes,
    database_deleted,
    edit_etcd,
    edit_facts,
    healthy,
    in_order,
    lose,
    other_identity,
    plan,
    server_id_of,
    stopped,
    verbs,
    waves,
)

from hetzner_k3s import decide
from hetzner_k3s.model.operations.looks import SecretKind
from hetzner_k3s.model.plan import PlannedStep, StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import KeepTokens, RenewToken


def renewals(steps: tuple[PlannedStep, ...]) -> dict[str, RenewToken]:
    return {p.step.target: p.step for p in steps if isinstance(p.step, RenewToken)}


def test_a_master_that_would_not_start_again_gets_the_current_token_and_the_others_do_not() -> None:
    state = holding(rotated(healthy()), MASTER1, NEW_TOKEN)
    planned = plan(with_tokens(state, MASTER3, config=NEW_TOKEN))
    assert renewals(planned.steps) == {
        name: RenewToken(target=name, server_id=server_id_of(name), via=FIRST_MASTER, kind=SecretKind.TOKEN)
        for name in (MASTER1, MASTER2)
    }
    assert verbs(planned.steps) == [f"KeepTokens {CLUSTER}", f"RenewToken {MASTER1}", f"RenewToken {MASTER2}"]


def test_a_token_that_lies_in_a_config_yaml_alone_is_taken_from_there() -> None:
    state = with_tokens(rotated(healthy()), MASTER2, config=NEW_TOKEN)
    step = renewals(plan(state).steps)[MASTER1]
    assert (step.via, step.kind) == (FIRST_MASTER + 1, SecretKind.CONFIG_TOKEN)


def test_files_come_before_a_repair() -> None:
    state = lose(holding(rotated(healthy()), MASTER1, NEW_TOKEN), MASTER3)
    assert verbs(plan(state).steps) == [f"KeepTokens {CLUSTER}", f"RenewToken {MASTER1}", f"RenewToken {MASTER2}"]
    under_way = frozenset({StepKey(KeepTokens, CLUSTER), StepKey(RenewToken, MASTER1), StepKey(RenewToken, MASTER2)})
    assert decide.plan(SPEC, state, CREATE, under_way).steps == ()


def test_with_the_files_right_and_one_master_restarted_the_repair_goes_on_through_that_one() -> None:
    state = lose(rotated(healthy(), config=NEW_TOKEN), MASTER3)
    assert codes(state) == ["token.not-accepted"]
    restarted = holding(state, MASTER2, NEW_TOKEN, accepted=True)
    steps = [p.step for p in plan(restarted).steps if p.key.verb == "SaveSnapshot"]
    assert [getattr(step, "via", None) for step in steps] == [server_id_of(MASTER2)]


def test_a_rotation_that_concerns_nobody_who_joins_is_no_obstacle() -> None:
    assert plan(rotated(healthy(), config=NEW_TOKEN)).settled
    assert codes(edit_etcd(healthy(), lambda e: replace(e, bootstrap_keys=("a" * 12, "b" * 12)))) == []


def test_a_token_that_nobody_holds_is_told() -> None:
    planned = plan(rotated(healthy()))
    assert planned.settled
    assert planned.notes == (
        f"no master holds the token that the datastore knows (hash {NEW_TOKEN}): none would start again",
    )


def test_a_worker_with_an_earlier_token_is_told_and_left_alone() -> None:
    state = edit_facts(healthy(), WORKER1, lambda f: replace(f, disk=replace(f.disk, config_token_hash=OLD_TOKEN)))
    planned = plan(state)
    assert planned.settled
    assert planned.notes == (
        f"{WORKER1} holds an earlier token of the cluster in its configuration: its k3s would not start again",
    )


@pytest.mark.parametrize("pinned", [None, OTHER_CA])
def test_a_current_token_that_does_not_pin_the_ca_is_completed(pinned: str | None) -> None:
    state = with_tokens(healthy(), MASTER2, config="f" * 12, pinned=pinned)
    assert verbs(plan(state).steps) == [f"RenewToken {MASTER2}"]
    assert waves(state) == [[f"RenewToken {MASTER2}"]]
    assert plan(with_tokens(healthy(), MASTER2, config="f" * 12, pinned=CA)).settled


def test_nothing_is_said_of_tokens_that_no_datastore_told() -> None:
    state = edit_etcd(rotated(healthy()), lambda etcd: replace(etcd, bootstrap_keys=()))
    assert plan(state).settled
    assert plan(state).notes == ()


# --- a master that cannot start


def revived(state: ClusterState, name: str) -> bool | None:
    step = renewals(plan(state).steps).get(name)
    return step.revive if step else None


def test_a_master_that_ends_at_each_start_is_given_the_token_and_started() -> None:
    state = kept_out(healthy(), MASTER2)
    assert codes(state) == []
    assert revived(state, MASTER2) is True
    assert waves(state) == [[f"RenewToken {MASTER2}"]]


def test_the_new_token_alone_does_not_let_it_start() -> None:
    assert revived(kept_out(healthy(), MASTER2, config="f" * 12), MASTER2) is True


def test_one_that_starts_for_the_first_time_with_the_right_file_is_let_be() -> None:
    assert codes(kept_out(healthy(), MASTER2, config="f" * 12, restarts=0)) == ["master.not-ready"]


def test_one_that_ends_for_another_reason_is_let_be() -> None:
    state = kept_out(healthy(), MASTER2, config="f" * 12, token="f" * 12)
    assert codes(state) == ["master.not-ready"]
    assert "RenewToken" not in _verbs(with_tokens(database_deleted(healthy(), MASTER2), MASTER2, config=OLD_TOKEN))


def test_one_that_is_stopped_is_given_the_token_and_started() -> None:
    state = with_tokens(stopped(healthy(), MASTER2), MASTER2, config=OLD_TOKEN)
    assert _verbs(state)[:1] == ["RenewToken"]


def _verbs(state: ClusterState) -> list[str]:
    return [key.verb for key in in_order(state)]


def test_one_of_another_cluster_is_given_nothing() -> None:
    state = kept_out(other_identity(healthy(), MASTER2), MASTER2)
    assert codes(state) == ["identity.other", "master.not-ready"]


def test_one_whose_etcd_answers_is_let_be() -> None:
    state = edit_facts(kept_out(healthy(), MASTER2), MASTER2, lambda f: replace(f, etcd=replace(f.etcd, healthy=False)))
    assert codes(state) == ["master.not-ready"]
