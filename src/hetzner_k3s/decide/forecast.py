"""The whole way, as predicted: `plan` and `predict` iterated until nothing is left."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from hetzner_k3s.decide.adopt import adoption
from hetzner_k3s.decide.assume_waits_done import come_true
from hetzner_k3s.decide.disaster import abandon, quarantine, quorum_reset, restore
from hetzner_k3s.decide.identity import ca_pins, lineage
from hetzner_k3s.decide.lifecycle import (
    addons,
    bootstrap,
    external_database,
    infra,
    join,
    kubeconfig,
    node_labels,
    provision,
    token_copy,
    workers,
)
from hetzner_k3s.decide.lifecycle.deletion import teardown
from hetzner_k3s.decide.preflight import tokens
from hetzner_k3s.decide.program import next_steps, plan
from hetzner_k3s.decide.prune import addons as addons_off
from hetzner_k3s.decide.prune import retire
from hetzner_k3s.decide.purchase import purchase
from hetzner_k3s.decide.repair import power, reconnect, remediate, removed_member, replace, stopped_workers
from hetzner_k3s.decide.rollout import addons as rollout_of_addons
from hetzner_k3s.decide.rollout import masters as rollout_of_masters
from hetzner_k3s.decide.rollout import replacing, staging, surge
from hetzner_k3s.decide.rollout import workers as rollout_of_workers
from hetzner_k3s.model.plan import Forecast, Intent, Plan, PlannedStep
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CreateServer, InstallK3s, JoinWorker, LabelNode, SecureHost, Step

WAVE_LIMIT = 120
"""More waves than any way has; reaching it means that a prediction does not lead anywhere."""

PREDICTORS: tuple[Callable[[ClusterSpec, ClusterState, Step], ClusterState], ...] = (
    infra.predict,
    power.predict,
    external_database.predict,
    provision.predict,
    bootstrap.predict,
    quarantine.predict,
    quorum_reset.predict,
    lineage.predict,
    adoption.predict,
    remediate.predict,
    replace.predict,
    removed_member.predict,
    join.predict,
    tokens.predict,
    ca_pins.predict,
    restore.predict,
    abandon.predict,
    reconnect.predict,
    stopped_workers.predict,
    workers.predict,
    retire.predict,
    staging.predict,
    replacing.predict,
    rollout_of_masters.predict,
    rollout_of_workers.predict,
    node_labels.predict,
    addons.predict,
    rollout_of_addons.predict,
    addons_off.predict,
    kubeconfig.predict,
    token_copy.predict,
    teardown.predict,
)

TOGETHER: Mapping[type[Step], Callable[[ClusterSpec, ClusterState, Sequence[Step]], ClusterState]] = {
    CreateServer: provision.predict_together,
    SecureHost: provision.predict_together,
    InstallK3s: provision.predict_together,
    JoinWorker: workers.predict_together,
    LabelNode: node_labels.predict_together,
}
"""For steps that come by the thousand: what they lead to together is what they lead to one after another."""


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world should look like after a step."""
    for predictor in PREDICTORS:
        state = predictor(spec, state, step)
    return state


def predict_together(spec: ClusterSpec, state: ClusterState, steps: Sequence[Step]) -> ClusterState:
    """Return what the world should look like after steps that were carried out one after another."""
    for kind, group in groupby(steps, type):
        if kind in TOGETHER:
            state = TOGETHER[kind](spec, state, tuple(group))
            continue
        for step in group:
            state = predict(spec, state, step)
    return state


def forecast(spec: ClusterSpec, state: ClusterState, intent: Intent) -> Forecast:
    """Show the way wave by wave, also beyond what has to be waited for.

    The first wave's waits, refusals and notes are the plan's own.
    """
    first, beginning = plan(spec, state, intent), state
    intent = dataclasses.replace(replace.bound(spec, state, intent), foreseen=True)
    waves: list[tuple[PlannedStep, ...]] = []
    current = first
    while len(waves) < WAVE_LIMIT:
        waves += [current.steps] if current.steps else []  # also of steps that predict no change: a run must show them
        if (after := _next(surge.wanted(spec, state, intent), state, current)) == state:
            break
        state, intent = after, replace.spent(intent, current.steps)
        current = next_steps(spec, state, intent)
    steps = [planned for wave in waves for planned in wave]
    return Forecast(
        waves=tuple(waves),
        waits=first.waits,
        refusals=first.refusals,
        notes=first.notes,
        degraded=first.degraded,
        differences=first.differences,
        purchase=purchase(beginning, steps),
        alternatives=bootstrap.alternatives(spec, frozenset(planned.key for planned in steps)),
    )


def _next(spec: ClusterSpec, state: ClusterState, current: Plan) -> ClusterState:
    state = predict_together(spec, state, [planned.step for planned in current.steps])
    return come_true(spec, state) if current.waits and not current.steps else state
