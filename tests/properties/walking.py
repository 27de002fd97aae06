"""Going a way as a run goes it: steps start and end in any order, each end is as predicted."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.decide.world import ADDONS, CREATE

from hetzner_k3s import decide
from hetzner_k3s.decide.assume_waits_done import come_true
from hetzner_k3s.decide.forecast import WAVE_LIMIT, predict, predict_together
from hetzner_k3s.model import lookup
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import Intent, Plan, PlannedStep, StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

LIMIT = 600
"""More turns than any run of the small clusters of these tests takes."""


def run(
    spec: ClusterSpec, state: ClusterState, chance: random.Random, intent: Intent = CREATE
) -> Iterator[tuple[ClusterState, Plan]]:
    """Go on until nothing is planned, in flight or waited for; yields each observation with its plan."""
    in_flight: dict[StepKey, PlannedStep] = {}
    for _ in range(LIMIT):
        plan = decide.plan(spec, state, intent, frozenset(in_flight))
        yield state, plan
        if plan.steps and (not in_flight or chance.random() < 0.6):
            started = chance.choice(plan.steps)
            in_flight[started.key] = started
        elif in_flight:
            ended = in_flight.pop(chance.choice(sorted(in_flight, key=str)))
            state = predict(decide.wanted(spec, state, intent), state, ended.step)
        elif plan.waits and (after := come_true(spec, state)) != state:
            state = after
        else:
            return
    raise AssertionError("the run does not end")


def waves(spec: ClusterSpec, state: ClusterState) -> Iterator[tuple[ClusterState, Plan]]:
    """Go the way of a forecast; yields each observation with its plan."""
    for _ in range(WAVE_LIMIT):
        plan = decide.plan(spec, state, CREATE)
        yield state, plan
        after = predict_together(spec, state, [planned.step for planned in plan.steps])
        after = come_true(spec, after) if plan.waits and not plan.steps else after
        if after == state:
            return
        state = after
    raise AssertionError("the way does not end")


def what_is_unexplained(spec: ClusterSpec, state: ClusterState, plan: Plan) -> list[str]:
    """Name what is missing, but for the masters that the plan says it leaves alone."""
    left_alone = {told.partition(" ")[0] for told in plan.degraded}
    return [what for what in what_is_missing(spec, state) if what.partition(" ")[0] not in left_alone]


def what_is_missing(spec: ClusterSpec, state: ClusterState) -> list[str]:
    """Say what keeps this from being the cluster that the file wants; told from raw facts, not by our own rules."""
    record = lookup.birth_record(spec, state.view)
    born = isinstance(record, BirthRecord) and record.phase is Phase.BORN
    return [
        *([] if born else ["it is not recorded as initialized"]),
        *([] if state.local.kubeconfig_ca else ["there is no kubeconfig"]),
        *(f"{s.name} is not there" for s in spec.servers() if state.server(s.name) is None),
        *_masters(spec, state),
        *_nodes(spec, state),
    ]


def _masters(spec: ClusterSpec, state: ClusterState) -> Iterator[str]:
    for name in spec.master_names:
        server = state.server(name)
        facts = state.facts(server.id) if server else None
        if server is None or facts is None or not facts.voter:
            yield f"{name} is no voter"
        elif len(facts.etcd.members or ()) != len(spec.masters):
            yield f"{name} lists {len(facts.etcd.members or ())} members"
        elif server.labels.get("hetzner-k3s/state") != "member":
            yield f"{name} is not recorded"


def _nodes(spec: ClusterSpec, state: ClusterState) -> Iterator[str]:
    views = [view for server_id in state.kube if (view := state.kube_of(server_id)) is not None]
    if not views:
        yield "no API answers"
        return
    for wanted in spec.servers():
        server, node = state.server(wanted.name), views[0].node(wanted.name)
        if server is not None and (node is None or node.server_id != server.id):
            yield f"{wanted.name} has no Node of its own"
    if dict(views[0].addons) != ADDONS:
        yield "the add-ons are not applied"
