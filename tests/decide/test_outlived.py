"""What a master's server says of data that is gone: an earlier lineage keeps nobody out who joins the present one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.disasters import labelled_lineage, of_lineage
from tests.decide.test_split import silent
from tests.decide.world import (
    CREATE,
    LINEAGE,
    MASTER1,
    MASTER2,
    MASTER3,
    SPEC,
    born_record,
    codes,
    database_deleted,
    edit_facts,
    edit_server,
    forecast,
    healthy,
    in_order,
    recorded,
    without_member,
)

from hetzner_k3s.decide.view.context import context_of
from hetzner_k3s.decide.view.sides import digits, sides
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.plan import StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import JoinControlPlane

_EARLIER = "9999"
RESET = recorded(healthy(), replace(born_record(), parent=_EARLIER))
"""The cluster was reset out of an earlier lineage."""


def _of_the_past(state: ClusterState, name: str) -> ClusterState:
    """Let a master's server carry the label of before the reset."""
    unparented = edit_server(
        state, name, lambda s: replace(s, labels={k: v for k, v in s.labels.items() if k != naming.LABEL_PARENT})
    )
    return labelled_lineage(unparented, name, _EARLIER)


EMPTIED = {
    "its label": _of_the_past(database_deleted(RESET, MASTER3), MASTER3),
    "its own note": of_lineage(database_deleted(RESET, MASTER3), MASTER3, _EARLIER, None),
}


@pytest.mark.parametrize("what", EMPTIED)
def test_a_master_without_its_data_is_of_no_lineage_and_joins_again(what: str) -> None:
    state = EMPTIED[what]
    assert codes(state) == []
    assert StepKey(JoinControlPlane, MASTER3) in in_order(state)
    assert not forecast(state).refusals
    assert [side.names for side in sides(context_of(SPEC, state, CREATE, frozenset()))] == [f"{MASTER1}, {MASTER2}"]


def test_with_its_data_the_same_master_is_of_the_past() -> None:
    assert codes(of_lineage(RESET, MASTER3, _EARLIER, None)) == ["master.past"]
    assert "master.past" in codes(_of_the_past(_waiting_for_the_past(RESET), MASTER3))


def _waiting_for_the_past(state: ClusterState) -> ClusterState:
    """Let the third master's etcd wait for a quorum of its own list; the list that lives does not have it."""
    waiting = replace(_facts(state).etcd, healthy=False, leader=None, members=None)
    return without_member(edit_facts(state, MASTER3, lambda f: replace(f, etcd=waiting)), 103)


def _facts(state: ClusterState) -> HostFacts:
    facts = state.facts(103)
    assert facts is not None
    return facts


def _outlived(state: ClusterState, name: str) -> tuple[str, ...]:
    server = state.server(name)
    assert server is not None
    return lookup.outlived_labels(SPEC, state.view, server)


def test_the_present_lineage_is_the_records_and_stays() -> None:
    assert _outlived(RESET, MASTER1) == (naming.LABEL_STATE,)
    assert set(_outlived(_of_the_past(RESET, MASTER1), MASTER1)) == {naming.LABEL_STATE, naming.LABEL_LINEAGE}


def test_where_two_lineages_are_recorded_none_is_taken_for_the_present_one() -> None:
    torn = labelled_lineage(healthy(), MASTER3, _EARLIER)
    assert naming.LABEL_LINEAGE in _outlived(torn, MASTER1)


def test_a_server_without_such_labels_has_none_to_lose() -> None:
    bare = edit_server(healthy(), MASTER1, lambda s: replace(s, labels={}))
    assert _outlived(bare, MASTER1) == ()


def test_a_side_is_named_by_its_lineage_also_when_one_of_it_has_none_yet() -> None:
    """A master that was fenced and joined again tells no lineage before it is recorded."""
    state = of_lineage(silent(RESET, MASTER3), MASTER3, _EARLIER, None)
    unlabelled = edit_server(state, MASTER1, lambda s: replace(s, labels={naming.LABEL_CLUSTER: SPEC.name}))
    found = sides(context_of(SPEC, unlabelled, CREATE, frozenset()))
    assert digits(found[0], found) == LINEAGE[:8]
