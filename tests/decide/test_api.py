"""A silent API over a healthy etcd is waited for; when it stays silent, that is said, and nothing is done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.test_refusals import answers_the_three_questions
from tests.decide.world import (
    MASTER1,
    MASTER2,
    NOW,
    SPEC,
    born_record,
    edit_facts,
    healthy,
    lose,
    plan,
    recorded,
    unmarked,
    unreachable,
)

from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.host import SupervisorFacts
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.state import ClusterState


def silent(state: ClusterState) -> ClusterState:
    return replace(state, kube={101: Unknown("connection refused", NOW)})


def otherwise(state: ClusterState) -> Refusal:
    planned = plan(state)
    assert planned.refusals == ()
    (wait,) = planned.waits
    assert wait.what == "the Kubernetes API"
    assert wait.otherwise is not None
    answers_the_three_questions(wait.otherwise)
    return wait.otherwise


@pytest.mark.parametrize("state", [healthy(), lose(healthy(), MASTER1)])
def test_it_is_waited_for_and_nothing_is_begun(state: ClusterState) -> None:
    refusal = otherwise(silent(state))
    assert refusal.code == "api.down"
    assert "on none it serves" in refusal.saw
    assert "complaint" not in refusal.saw
    assert plan(silent(state)).steps == ()


def test_at_a_birth_no_lost_machine_is_spoken_of() -> None:
    (wait,) = plan(silent(healthy())).waits
    assert "lost machines" in wait.because
    state = healthy()
    for name in SPEC.master_names:
        state = unmarked(state, name)
    (wait,) = plan(silent(recorded(state, born_record()))).waits
    assert wait.because == "the first master has just started, and its API comes some seconds after its etcd"


def test_what_k3s_said_last_is_told() -> None:
    said = SupervisorFacts(complaint="level=error apiserver exited.")
    state = edit_facts(silent(healthy()), MASTER2, lambda f: replace(f, supervisor=said))
    assert otherwise(state).saw.endswith(f"The last complaint of k3s on {MASTER2}: level=error apiserver exited.")


def test_one_that_serves_and_was_not_read_is_told_apart() -> None:
    serving = SupervisorFacts(api_answers=True)
    state = edit_facts(healthy(), MASTER1, lambda f: replace(f, supervisor=serving))
    assert f"it serves on {MASTER1}, but was not read (connection refused)" in otherwise(silent(state)).saw
    assert "(not asked yet)" in otherwise(replace(state, kube={})).saw


def test_without_a_healthy_voter_it_is_not_the_api_that_is_missing() -> None:
    state = healthy()
    for server in state.view.servers[:3]:
        state = unreachable(state, server.name)
    assert [r.code for r in plan(silent(state)).refusals] == ["masters.none-healthy"]
