"""The agents' token: who holds it, where the servers' one lies beside the masters, and what is said of either."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.lost import S3_SPEC, restoring, stored, to_restore
from tests.decide.world import (
    CA,
    CLUSTER,
    CREATE,
    OTHER_CA,
    SPEC,
    WORKER1,
    WORKER2,
    a_spec,
    born_record,
    edit_facts,
    healthy,
    plan,
    recorded,
    server_id_of,
    waves,
)

from hetzner_k3s import decide
from hetzner_k3s.decide.disaster import restore
from hetzner_k3s.decide.lifecycle import token_copy
from hetzner_k3s.decide.view.context import DecisionContext, context_of
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.plan import Scope
from hetzner_k3s.model.report import Health
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import RecordBirth
from hetzner_k3s.model.tokens import HeldTokens

SERVER, AGENT, OTHER = "f" * 12, "a" * 12, "b" * 12


def with_agent_token(state: ClusterState, spec: ClusterSpec = SPEC, agent: str = AGENT) -> ClusterState:
    """A cluster as it is born now: masters hold both tokens, workers that of the agents, the record names it."""

    def as_master(facts: HostFacts) -> HostFacts:
        return replace(facts, disk=replace(facts.disk, agent_token_hash=agent, config_agent_hash=agent))

    def as_worker(facts: HostFacts) -> HostFacts:
        disk = replace(facts.disk, config_token_hash=agent, config_token_ca=CA, config_token_agent=True)
        return replace(facts, disk=disk)

    for name in spec.master_names:
        state = edit_facts(state, name, as_master)
    for worker in spec.workers():
        state = edit_facts(state, worker.name, as_worker)
    kept = HeldTokens(server=SERVER, agent=agent, ca=CA)
    return recorded(replace(state, local=replace(state.local, kept=(kept,))), replace(born_record(), agent=agent))


def remarks(state: ClusterState, spec: ClusterSpec = SPEC) -> tuple[str, ...]:
    return token_copy.remarks(context(state, spec))


def context(state: ClusterState, spec: ClusterSpec = SPEC) -> DecisionContext:
    return context_of(spec, state, CREATE, frozenset())


def test_a_cluster_with_an_agent_token_is_settled_and_nothing_is_said() -> None:
    state = with_agent_token(healthy())
    assert plan(state).settled
    assert (plan(state).notes, remarks(state)) == ((), ())


@pytest.mark.parametrize(
    "kept",
    [
        (),
        (HeldTokens(server=OTHER, agent=AGENT, ca=CA),),
        (HeldTokens(server=SERVER, ca=CA),),
        (HeldTokens(server=SERVER, agent=AGENT, ca=OTHER_CA),),
    ],
    ids=["nothing kept", "rotated since", "the agents' one missing", "of another cluster"],
)
def test_tokens_that_are_not_kept_here_are_kept_and_told_of(kept: tuple[HeldTokens, ...]) -> None:
    state = with_agent_token(healthy())
    state = replace(state, local=replace(state.local, kept=kept))
    assert waves(state) == [[f"KeepTokens {CLUSTER}"]]
    (planned,) = plan(state).steps
    assert planned.scope is Scope.LOCAL
    assert remarks(state)[0].startswith("this machine keeps no copy of the server token")


def test_what_this_machine_lacks_is_no_harm_to_the_cluster() -> None:
    state = replace(with_agent_token(healthy()), local=replace(healthy().local, kept=()))
    told = decide.report(SPEC, state, CREATE, decide.forecast(SPEC, state, CREATE))
    assert (told.health, told.because) == (Health.HEALTHY, ())
    assert told.tokens == remarks(state)


def test_a_cluster_born_without_one_is_named_with_its_workers() -> None:
    assert remarks(healthy()) == (
        f"initialized without an agent token: {WORKER1}, {WORKER2} hold the server token, which opens the keys of the "
        "CA",
    )
    told = remarks(healthy(a_spec(3, 0)), a_spec(3, 0))[0]
    assert told.startswith("initialized without an agent token: a worker would get")


def test_workers_that_hold_it_are_no_drift_and_no_earlier_token() -> None:
    state = with_agent_token(healthy())
    told = decide.report(SPEC, state, CREATE, decide.forecast(SPEC, state, CREATE))
    assert told.drift == ()

    def earlier(facts: HostFacts) -> HostFacts:
        return replace(facts, disk=replace(facts.disk, config_token_hash=OTHER))

    state = edit_facts(state, WORKER1, earlier)
    told = decide.report(SPEC, state, CREATE, decide.forecast(SPEC, state, CREATE))
    assert [(one.code, one.subject) for one in told.drift] == [("token", WORKER1)]


def test_an_agent_token_that_the_record_does_not_name_is_recorded() -> None:
    state = recorded(with_agent_token(healthy()), born_record())
    (planned,) = plan(state).steps
    assert isinstance(planned.step, RecordBirth)
    assert planned.step.record == replace(born_record(), agent=AGENT)


def chosen(state: ClusterState) -> restore.Choice | None:
    return restore.choose(context_of(S3_SPEC, state, restoring(), frozenset()))


def test_a_restore_takes_the_agent_token_that_was_kept_beside_the_servers_one() -> None:
    state = recorded(to_restore(stored(60, token_hash=SERVER)), replace(born_record(), agent=AGENT))
    kept = (HeldTokens(server=SERVER, agent=AGENT, ca=CA), HeldTokens(server=OTHER, agent=OTHER, ca=CA))
    found = chosen(replace(state, local=replace(state.local, kept=kept)))
    assert found is not None
    assert (found.token_hash, found.agent_hash, found.agent_from) == (SERVER, AGENT, None)


def test_a_worker_has_the_agent_token_but_not_the_one_that_opens_snapshots() -> None:
    state = to_restore(stored(60, token_hash=SERVER))

    def as_agent(facts: HostFacts) -> HostFacts:
        return replace(facts, disk=replace(facts.disk, config_token_hash=AGENT, config_token_agent=True))

    state = recorded(edit_facts(state, WORKER1, as_agent), replace(born_record(), agent=AGENT))
    assert AGENT not in restore.known_tokens(context(state, S3_SPEC))
    found = chosen(replace(state, local=replace(state.local, token_hashes=(SERVER,))))
    assert found is not None
    assert (found.agent_hash, found.agent_from) == (AGENT, server_id_of(WORKER1))


def test_without_a_record_of_one_a_restore_asks_for_none() -> None:
    found = chosen(to_restore())
    assert found is not None
    assert found.agent_hash is None
