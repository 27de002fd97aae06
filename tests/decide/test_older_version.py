"""A living cluster of hetzner-k3s 2.x: recognised by its masters' disks, named, and left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.oddities import FIRST_OF_2X as FIRST
from tests.decide.oddities import of_2x
from tests.decide.world import (
    NOW,
    codes,
    forecast,
    healthy,
    plan,
)

from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.hosts.origin import Origin


def test_it_is_called_what_it_is_and_nobody_is_told_to_delete_its_masters() -> None:
    state = of_2x()
    (refusal,) = plan(state).refusals
    assert refusal.code == "cluster.of-2x"
    assert "hetzner-k3s 2.x made" in refusal.saw
    assert "--cluster-init in its unit" in refusal.saw
    assert "delete none of its servers" in refusal.you_can
    assert (forecast(state).waves, forecast(state).waits) == ((), ())


@pytest.mark.parametrize(
    "origin",
    [Origin(), replace(FIRST, flag=""), replace(FIRST, bare_token=False), replace(FIRST, configured=True)],
    ids=["nothing", "no flag", "no token", "a configuration"],
)
def test_something_else_is_not_called_so(origin: Origin) -> None:
    assert "cluster.of-2x" not in codes(of_2x(told=(origin,)))


def test_one_master_that_answers_is_enough() -> None:
    state = of_2x(told=(FIRST,))
    silent = {s.id: Unknown("no answer", NOW) for s in state.view.servers if s.id not in state.origins}
    assert codes(replace(state, origins={**state.origins, **silent})) == ["cluster.of-2x"]


def test_masters_that_nobody_could_look_at_are_not_to_be_deleted_at_once() -> None:
    told = plan(of_2x(told=())).refusals
    assert {refusal.code for refusal in told} == {"birth.not-empty"}
    assert all(refusal.you_can.startswith("Find out whose it is") for refusal in told)


def test_a_cluster_of_ours_is_never_called_so() -> None:
    state = healthy()
    assert plan(replace(state, origins={s.id: Known(FIRST) for s in state.view.servers})).settled
