"""Random worlds: every master and worker in a state of its own, under any record, any memory, any reading of the API.

A world is drawn as a list of named states, so that Hypothesis shrinks it to a sentence such as
`prod-master1 lost, prod-master3 off`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st
from tests.decide import world as w

from hetzner_k3s.decide.view.quorum import majority, voters
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import UNREADABLE, ClusterState, LocalEvidence

Change = Callable[[ClusterState, ClusterSpec, str], ClusterState]


def _kept(state: ClusterState, _spec: ClusterSpec, _name: str) -> ClusterState:
    return state


def _lost(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    return w.lose(state, name)


def _without_node(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    return w.without_node(w.lose(state, name), name)


def _without_member(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    return w.without_member(w.lose(state, name), w.server_id_of(name))


def _cleared(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    return w.without_node(w.without_member(w.lose(state, name), w.server_id_of(name)), name)


def _replaced(before: Change, stage: Callable[..., ClusterState]) -> Change:
    def change(state: ClusterState, spec: ClusterSpec, name: str) -> ClusterState:
        return stage(before(state, spec, name), spec, name, w.replacement_of(name))

    return change


def _same_address(before: Change) -> Change:
    """A worker of ours holds the address of the lost one; one that is not there cannot."""

    def change(state: ClusterState, spec: ClusterSpec, name: str) -> ClusterState:
        taken = w.address_of(w.server_id_of(name))
        state = before(state, spec, name)
        workers = [s for s in state.view.servers if s.labels.get("role") == "worker"]
        return w.with_server(state, replace(workers[0], private_ips={w.NETWORK: taken})) if workers else state

    return change


def _still_connected(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    gone = w.server_id_of(name)
    return replace(w.unlisted(state, name), lookups={**state.lookups, gone: Known(False)})


def _not_asked(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    return replace(w.lose(state, name), lookups={})


def _asked_in_vain(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    return replace(w.lose(state, name), lookups={w.server_id_of(name): Unknown("500", w.NOW)})


def _hidden(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    return replace(w.lose(state, name), lookups={w.server_id_of(name): Known(True)})


def _renamed(state: ClusterState, _spec: ClusterSpec, name: str) -> ClusterState:
    return w.edit_server(state, name, lambda s: replace(s, name=f"kept-{s.id}"))


def _silent(stage: SshStage) -> Change:
    return lambda state, _spec, name: w.unreachable(state, name, stage, "told so")


def _unrecorded(then: Change) -> Change:
    return lambda state, spec, name: then(w.unmarked(state, name), spec, name)


def plain(change: Callable[[ClusterState, str], ClusterState]) -> Change:
    """Make a change out of one that needs no file."""
    return lambda state, _spec, name: change(state, name)


STAGES: Final[dict[str, Callable[..., ClusterState]]] = {
    "booting": w.booting,
    "with its boot key": w.with_boot_key,
    "between two keys": w.with_next_key,
    "bare": w.bare,
    "ready": w.ready,
}

BOTH: Final[dict[str, Change]] = {
    "well": _kept,
    "lost": _lost,
    "lost, its Node gone": _without_node,
    "lost, not asked for by id": _not_asked,
    "lost, asked for in vain": _asked_in_vain,
    "hidden from the listing": _hidden,
    "renamed": _renamed,
    "off": plain(w.off),
    "silent": _silent(SshStage.TCP),
    "denied": _silent(SshStage.AUTH),
    "key changed": _silent(SshStage.HOST_KEY),
    "rebuilt": plain(w.rebuilt),
    "not ready": plain(w.not_ready),
    **{f"replaced, {name}": _replaced(_lost, stage) for name, stage in STAGES.items()},
    **{f"replaced, its Node gone, {name}": _replaced(_without_node, stage) for name, stage in STAGES.items()},
}

MASTER: Final[dict[str, Change]] = {
    **BOTH,
    "lost, its member gone": _without_member,
    "lost and cleared away": _cleared,
    "lost, its address taken": _same_address(_lost),
    "lost, still connected": _still_connected,
    "database gone": plain(w.database_deleted),
    "stopped": plain(w.stopped),
    "of another cluster": plain(w.other_identity),
    "not recorded": _unrecorded(_kept),
    "not recorded and silent": _unrecorded(_silent(SshStage.TCP)),
    "not recorded and stopped": _unrecorded(plain(w.stopped)),
    "not recorded and off": _unrecorded(plain(w.off)),
    **{f"cleared away, replaced, {name}": _replaced(_cleared, stage) for name, stage in STAGES.items()},
    "cleared away, replaced, joining": _replaced(_cleared, w.joining),
}

WORKER: Final[dict[str, Change]] = {
    **BOTH,
    "its agent stopped": plain(w.stopped_agent),
    "replaced, joining": _replaced(_lost, w.joining),
    "replaced, its Node gone, joining": _replaced(_without_node, w.joining),
}


@dataclass(frozen=True, slots=True)
class World:
    """A wish, an observation, and the sentence that made it."""

    spec: ClusterSpec
    state: ClusterState
    told: str

    def __repr__(self) -> str:
        """Say it in words: a failing example is read by a person."""
        return f"World({self.told})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


RECORDS: Final[dict[str, Callable[[ClusterState], ClusterState]]] = {
    "born": lambda s: s,
    "nothing recorded": lambda s: w.recorded(s, w.NO_RECORD),
    "bootstrapping": lambda s: w.recorded(s, BirthRecord(phase=Phase.BOOTSTRAPPING, seed=w.FIRST_MASTER)),
    "deleting": lambda s: w.recorded(s, replace(w.born_record(), phase=Phase.DELETING)),
    "the phase lost": lambda s: w.recorded(s, replace(w.born_record(), phase=None)),
    "contradictory": lambda s: w.with_listing(
        s, firewalls=tuple(replace(f, labels={**f.labels, "hetzner-k3s/seed": "5"}) for f in s.view.firewalls)
    ),
}

MEMORIES: Final[dict[str, Callable[[ClusterState], ClusterState]]] = {
    "its kubeconfig here": lambda s: s,
    "forgotten": w.forgetful,
    "journal only": lambda s: replace(s, local=LocalEvidence(open_birth=True)),
    "another's kubeconfig": lambda s: replace(s, local=LocalEvidence(kubeconfig_ca=w.OTHER_CA)),
    "unreadable kubeconfig": lambda s: replace(s, local=LocalEvidence(kubeconfig_ca=UNREADABLE)),
}

READINGS: Final[dict[str, Callable[[ClusterState], ClusterState]]] = {
    "all read": lambda s: s,
    "the API silent": lambda s: replace(s, kube={k: Unknown("timed out", w.NOW) for k in s.kube}),
    "the listing incomplete": w.unlistable,
    "no annotations": lambda s: w.edit_kube(
        s, lambda v: replace(v, nodes=tuple(replace(n, server_id=None, provider_id=None) for n in v.nodes))
    ),
    "provider ids only": lambda s: w.edit_kube(
        s, lambda v: replace(v, nodes=tuple(replace(n, server_id=None) for n in v.nodes))
    ),
    "a stranger in the network": lambda s: w.with_server(
        s, Server(id=901, name="db", status=ServerStatus.RUNNING, private_ips={w.NETWORK: "10.0.3.3"})
    ),
    "another lineage": lambda s: w.edit_kube(s, lambda v: replace(v, lineage="elsewhere")),
}


def _mostly(table: dict[str, Callable[[ClusterState], ClusterState]]) -> st.SearchStrategy[str]:
    """Draw the first entry most of the time, so that worlds are not all hopeless."""
    return st.sampled_from([next(iter(table))] * len(table) * 3 + list(table))


@st.composite
def grown(draw: st.DrawFn) -> World:
    """Draw a cluster that was initialized, with anything wrong about it."""
    spec = w.a_spec(draw(st.sampled_from([3, 3, 1, 5])), draw(st.integers(0, 2)), draw(st.booleans()))
    state = w.healthy(spec)
    told: list[str] = []
    names = [server.name for server in spec.servers()]
    for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True)):
        table = MASTER if name in spec.master_names else WORKER
        what = draw(st.sampled_from(list(table)))
        state, told = table[what](state, spec, name), [*told, f"{name} {what}"]
    state = w.without_quorum(state) if quorum_lost(state) else state
    for around in (RECORDS, MEMORIES, READINGS):
        what = draw(_mostly(around))
        state = around[what](state)
        told += [what] if what != next(iter(around)) else []
    if draw(st.booleans()):
        state, told = _with_snapshots(state, spec), [*told, "snapshots saved"]
    return World(spec, state, f"{len(spec.masters)} masters: {', '.join(told) or 'well'}")


def quorum_lost(state: ClusterState) -> bool:
    """Let etcd behave as etcd does: the living voters of a list must be its majority."""
    facts = [f.value for f in state.hosts.values() if isinstance(f, Known) and f.value.etcd.members]
    connected = {peer for f in facts for peer in f.etcd.active_peers}
    alive = {f.etcd.member_id for f in facts} | connected
    lists = [voters(f.etcd.members or ()) for f in facts]
    return any(sum(m.id in alive for m in members) < majority(len(members)) for members in lists)


def _with_snapshots(state: ClusterState, spec: ClusterSpec) -> ClusterState:
    answering = [n for n in spec.master_names if (s := state.server(n)) and (f := state.facts(s.id)) and f.voter]
    for name in answering[:1]:
        for lost in spec.master_names:
            state = w.with_snapshot(state, name, w.server_id_of(lost))
    return state


UNBORN: Final[dict[str, Change]] = {
    "absent": _kept,
    **STAGES,
    "holding data": w.joining,
    "started by hand": w.started_by_hand,
    "off": lambda state, spec, name: w.off(w.ready(state, spec, name), name),
    "denied": lambda state, spec, name: w.unreachable(w.ready(state, spec, name), name, SshStage.AUTH, "told so"),
}


@st.composite
def unborn(draw: st.DrawFn) -> World:
    """Draw a project in which no cluster was initialized yet, with an unfinished run's traces."""
    spec = w.a_spec(draw(st.sampled_from([3, 1, 5])), draw(st.integers(0, 2)), draw(st.booleans()))
    state, told = w.nothing(), []
    if draw(st.booleans()):
        around = w.surroundings(spec)
        names = ("networks", "placement_groups", "firewalls", "load_balancers", "ssh_keys")
        state = w.with_listing(state, **{name: getattr(around, name) for name in names if draw(st.booleans())})
        for server in spec.servers() if state.view.networks else ():
            what = draw(st.sampled_from(list(UNBORN)))
            state = UNBORN[what](state, spec, server.name)
            told += [f"{server.name} {what}"]
    seed = draw(st.sampled_from([None, None, w.FIRST_MASTER, w.FIRST_MASTER + 1, 77]))
    if seed is not None:
        state = w.recorded(state, BirthRecord(phase=Phase.BOOTSTRAPPING, seed=seed))
        answers: list[Reading[bool]] = [Known(False), Known(True), Unknown("500", w.NOW)]
        gone = draw(st.sampled_from(answers))
        state = replace(state, lookups={seed: gone})
        told += [f"bootstrapping on {seed} ({gone})"]
    memory = draw(st.sampled_from(["forgotten", "forgotten", "journal only", "another's kubeconfig"]))
    return World(spec, MEMORIES[memory](state), f"{len(spec.masters)} masters, unborn: {', '.join((*told, memory))}")


def anything() -> st.SearchStrategy[World]:
    """Draw any world."""
    return st.one_of(grown(), unborn())
