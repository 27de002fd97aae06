"""What depends on the machine that looks, held apart from how the cluster is.

See docs/architecture.md#law-13.

A kubeconfig that lies elsewhere, another operator's SSH key, a clock that is wrong here: these are matters of this
machine. `create` says what it would do about them, and the verdict on the cluster is the same as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hetzner_k3s.decide.forecast import forecast
from hetzner_k3s.decide.lifecycle import addons, kubeconfig, token_copy
from hetzner_k3s.decide.preflight import clocks
from hetzner_k3s.decide.view.context import DecisionContext, ServingContext, context_of
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import SshKey
from hetzner_k3s.model.consents import SkipAddressCheck
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import Unreachable
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Forecast, Intent, PlannedStep, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import EnsureSshKey

_KEY_OF_ITS_OWNER = -5
"""Made-up ids are negative."""


def pending(spec: ClusterSpec, state: ClusterState, intent: Intent, ahead: Forecast) -> Forecast:
    """Return what `create` would do about the cluster, from a machine that has its kubeconfig and its SSH key.

    Before its birth there is no cluster that could be well, and what this machine remembers may forbid it.
    """
    context = context_of(spec, state, intent, frozenset())
    if context.control_plane.record.phase is not Phase.BORN:
        return ahead
    impersonal = _as_its_owner(context)
    if impersonal == state and not ahead.refusals:
        shown = ahead
    else:  # where one comes from is this machine's, too
        somewhere = replace(intent, consents=intent.consents.adding(SkipAddressCheck()))
        shown = forecast(spec, impersonal, somewhere)
    return replace(shown, waves=tuple(wave for steps in shown.waves if (wave := tuple(filter(_is_clusters, steps)))))


def _as_its_owner(context: DecisionContext) -> ClusterState:
    spec, state = context.spec, context.state
    wanted = kubeconfig.wanted(context) if isinstance(context, ServingContext) else None
    ca, servers = (None, {}) if wanted is None else wanted
    tokens = token_copy.current(context)
    kept = state.local.kept if tokens is None or token_copy.is_kept(context) else (tokens, *state.local.kept)
    state = replace(state, local=replace(state.local, kubeconfig_ca=ca, kubeconfig_servers=servers, kept=kept))
    state = _with_right_clock(state)
    if lookup.ssh_key(spec, state.view) is not None:
        return state
    key = SshKey(
        id=_KEY_OF_ITS_OWNER, name=spec.ssh_key_name, fingerprint=lookup.fingerprint(spec.ssh.public_key) or ""
    )
    return state.with_view(replace(state.view, ssh_keys=(*state.view.ssh_keys, key)))


def _with_right_clock(state: ClusterState) -> ClusterState:
    """Return what a machine would have seen whose clock is right."""
    ahead = state.own_clock_behind
    if abs(ahead) <= clocks.WORTH_A_WORD:
        return state
    hosts = {
        number: Known(replace(reading.value, ahead=reading.value.ahead - ahead))
        if isinstance(reading, Known)
        else reading
        for number, reading in state.hosts.items()
    }
    right = replace(state, observed_at=state.observed_at + ahead, hosts=hosts)
    return right.with_view(replace(state.view, ahead=0.0)) if state.view.ahead is not None else right


def _is_clusters(planned: PlannedStep) -> bool:
    return planned.scope is not Scope.LOCAL


def this_machine(spec: ClusterSpec, state: ClusterState, intent: Intent, ahead: Forecast) -> tuple[str, ...]:
    """Return what `create` would do, or refuse, for the sake of this machine alone."""
    clusters = pending(spec, state, intent, ahead)
    known = {refusal.code for refusal in clusters.refusals}
    steps = (planned for wave in ahead.waves for planned in wave)
    own = [p for p in steps if not _is_clusters(p) or isinstance(p.step, EnsureSshKey)]
    context = context_of(spec, state, intent, frozenset())
    return (
        *clocks.own_clock_told(context),
        *(f"{p.step.target}: {p.because}" for p in own if clusters is not ahead),
        *(f"`create` would refuse here: {r.saw}" for r in ahead.refusals if r.code not in known),
    )


def not_looked_at(context: DecisionContext) -> tuple[str, ...]:
    """Name what could not be looked at from here, each with the reason."""
    listed = context.state.snapshots
    return (
        *((f"S3 ({listed.why})",) if isinstance(listed, Unknown) else ()),
        *_closed_hosts(context),
        *addons.credentials_not_asked(context),
    )


def hosts_are_closed(context: DecisionContext) -> bool:
    """Check whether no master was looked at, and those that answered did not let this machine in."""
    masters = {s.id for s in lookup.owned_masters(context.spec.name, context.view)}
    readings = [reading for number, reading in context.state.hosts.items() if number in masters]
    silent = [reading for reading in readings if isinstance(reading, Unreachable)]
    return len(silent) == len(readings) and any(reading.stage is SshStage.AUTH for reading in silent)


def _closed_hosts(context: DecisionContext) -> Iterator[str]:
    """Name the hosts that did not let this machine in, a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for server in lookup.owned_servers(context.spec.name, context.view):
        reading = context.state.hosts.get(server.id)
        if isinstance(reading, Unreachable) and reading.stage is SshStage.AUTH:
            reasons.setdefault(reading.why, []).append(server.name)
    for why, names in reasons.items():
        yield f"{', '.join(names)} ({why})"
