"""Worlds in which everything may be wrong at once, so that many refusals stand side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st
from tests.decide import disasters, oddities
from tests.decide import world as w
from tests.decide.lost import S3_SPEC, stored
from tests.properties.start_states import CLASSES
from tests.properties.worlds import MASTER, MEMORIES, READINGS, RECORDS, WORKER, Change, plain, quorum_lost

from hetzner_k3s.model.consents import (
    LATEST,
    AcceptCa,
    Consent,
    Consents,
    Keep,
    NewClusterOver,
    Prune,
    Replace,
    ResetQuorumFrom,
)
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState


def _ours_to_name(state: ClusterState, name: str) -> ClusterState:
    return w.edit_server(state, name, lambda server: replace(server, labels={}))


def _by_hand(state: ClusterState, name: str) -> ClusterState:
    return w.with_server(w.lose(state, name), oddities.fresh_by_hand(name))


def _full(state: ClusterState, name: str) -> ClusterState:
    return oddities.alarmed(state, name, "NOSPACE")


def _late(state: ClusterState, name: str) -> ClusterState:
    return oddities.clock_off(state, name, 90.0)


ODD: Final = {
    **CLASSES,
    "stopped and masked": disasters.held,
    "stopped and masked, its log unread": lambda s, n: disasters.held(s, n, None),
    "of a later lineage": lambda s, n: disasters.of_lineage(s, n, "9" * 16, None),
    "labelled with another lineage": lambda s, n: disasters.labelled_lineage(s, n, "9" * 16),
    "its data aside": disasters.fenced,
    "former": w.former,
    "removed": w.tombstoned,
    "of another CA, stopped": lambda s, n: w.stopped(w.other_identity(s, n), n),
    "of another UID": lambda s, n: w.other_identity(s, n, ca=w.CA),
    "with a rotated CA": oddities.with_rotated_ca,
    "holding an earlier token": lambda s, n: oddities.with_tokens(s, n, config=oddities.OLD_TOKEN),
    "without its labels": _ours_to_name,
    "made by hand": _by_hand,
    "full": _full,
    "with a wrong clock": _late,
}
"""What may be wrong with a master that is there, beside what `worlds` knows."""

MASTERS: Final[dict[str, Change]] = {
    **MASTER,
    **{name: plain(change) for name, change in ODD.items()},
}

STORES: Final[dict[str, Reading[tuple[StoredSnapshot, ...]] | None]] = {
    "no S3": None,
    "S3 is empty": Known(()),
    "S3 is silent": Unknown("timed out", w.NOW),
    "snapshots in S3": Known((stored(60.0), stored(120.0))),
    "another cluster's snapshots in S3": Known((stored(60.0, uid=w.OTHER_UID),)),
}


@dataclass(frozen=True, slots=True)
class Quarrel:
    """A wish, an observation, the consents given, and the sentence that made it."""

    spec: ClusterSpec
    state: ClusterState
    intent: Intent
    told: str

    def __repr__(self) -> str:
        """Say it in words."""
        return f"Quarrel({self.told})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


def _changed(state: ClusterState, spec: ClusterSpec, name: str, what: str) -> ClusterState:
    """Let something have become of a server; one that is not there any more is left as it is."""
    table = MASTERS if name in {m.name for m in spec.masters} else WORKER
    server = state.server(name)
    return table[what](state, spec, name) if server is not None and state.facts(server.id) is not None else state


@st.composite
def quarrels(draw: st.DrawFn) -> Quarrel:
    """Draw a cluster of which any number of servers is unwell, under any record and memory, with any consents."""
    there = draw(st.sampled_from([3, 3, 1, 5]))
    before = w.a_spec(there, draw(st.integers(0, 2)), draw(st.booleans()))
    state, told = w.healthy(before), [f"{there} masters"]
    for server in before.servers():
        table = MASTERS if server.name in before.master_names else WORKER
        what = draw(st.sampled_from(["well"] * len(table) + list(table)))
        state = _changed(state, before, server.name, what)
        told += [f"{server.name} {what}"] if what != "well" else []
    state = w.read_through_a_voter(w.without_quorum(state) if quorum_lost(state) else state)
    for around in (RECORDS, MEMORIES, READINGS):
        what = draw(st.sampled_from([next(iter(around))] * 2 * len(around) + list(around)))
        state, told = around[what](state), [*told, what]
    spec = w.a_spec(1, len(before.workers()), before.api_load_balancer) if draw(st.integers(0, 4)) == 0 else before
    return Quarrel(*_with_a_store(draw, spec, state, told), draw(consents(spec)), f"{', '.join(told)}")


def _with_a_store(
    draw: st.DrawFn, spec: ClusterSpec, state: ClusterState, told: list[str]
) -> tuple[ClusterSpec, ClusterState]:
    what = draw(st.sampled_from(list(STORES)))
    told.append(what)
    found = STORES[what]
    return (replace(spec, etcd=S3_SPEC.etcd), replace(state, snapshots=found)) if found is not None else (spec, state)


@st.composite
def consents(draw: st.DrawFn, spec: ClusterSpec) -> Intent:
    """Draw the consents given: mostly none, for they come from what is advised."""
    offered: tuple[list[Consent | None], ...] = (
        [*[None] * 5, *map(Replace, spec.master_names)],
        *([*[None] * 9, consent] for consent in _once(spec)),
        [None, None, Prune()],
    )
    given = [draw(st.sampled_from(consents)) for consents in offered]
    return replace(w.CREATE, consents=Consents.of(*(consent for consent in given if consent is not None)))


def _once(spec: ClusterSpec) -> tuple[Consent, ...]:
    digits = w.CA[:8]
    return ResetQuorumFrom(spec.master_names[0]), LATEST, NewClusterOver(digits), AcceptCa(w.OTHER_CA[:8]), Keep(digits)
