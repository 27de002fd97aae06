"""Every start state of a small control plane: what its masters are, as a multiset of twelve named classes, under every
record, with and without a witness of the quorum, with and without a saved snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from math import comb
from typing import Final

from tests.decide import world as w
from tests.properties.worlds import quorum_lost

from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.host import EtcdFacts, UnitFacts
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

Change = Callable[[ClusterState, str], ClusterState]


def _learner(state: ClusterState, name: str) -> ClusterState:
    """Let a master have been added and started, and not be promoted yet."""
    server_id = w.server_id_of(name)
    own = w.member_id_of(server_id)
    state = w.without_node(w.unmarked(state, name), name)
    listed = w.edit_etcd(
        state,
        lambda etcd: replace(
            etcd, members=tuple(replace(m, learner=m.learner or m.id == own) for m in etcd.members or ())
        ),
    )
    learning = EtcdFacts(healthy=True, member_id=own, leader="1", learner=True)
    return w.edit_facts(listed, name, lambda f: replace(f, server_unit=UnitFacts(active="activating"), etcd=learning))


def _unreachable_and_dead(state: ClusterState, name: str) -> ClusterState:
    return w.disconnected(w.unreachable(state, name), w.server_id_of(name))


def _of_the_past(state: ClusterState, name: str) -> ClusterState:
    """Let a master live in a member list of its own under the same CA and UID: another lineage of the cluster."""
    return w.other_identity(state, name, ca=w.CA, uid=w.UID)


def _with_a_stale_token(state: ClusterState, name: str) -> ClusterState:
    """Let `config.yaml` hold a token that the datastore does not know: it will not start again."""
    return w.edit_facts(state, name, lambda f: replace(f, disk=replace(f.disk, config_token_hash="e" * 12)))


def _corrupt(state: ClusterState, name: str) -> ClusterState:
    return w.edit_facts(state, name, lambda f: replace(f, etcd=replace(f.etcd, errors=("alarm:CORRUPT",))))


CLASSES: Final[dict[str, Change]] = {
    "healthy voter": lambda state, _: state,
    "learner": _learner,
    "off": w.off,
    "deleted": w.lose,
    "rebuilt": w.rebuilt,
    "unreachable, alive": w.unreachable,
    "unreachable, dead": _unreachable_and_dead,
    "database deleted": w.database_deleted,
    "of another lineage": _of_the_past,
    "of another CA": w.other_identity,
    "with a stale token": _with_a_stale_token,
    "corrupt": _corrupt,
}

RECORDS: Final[dict[str, Callable[[ClusterState], ClusterState]]] = {
    "born": lambda state: state,
    "nothing recorded": lambda state: w.forgetful(w.recorded(state, w.NO_RECORD)),
    "bootstrapping": lambda state: w.forgetful(
        w.recorded(state, BirthRecord(phase=Phase.BOOTSTRAPPING, seed=w.FIRST_MASTER))
    ),
    "deleting": lambda state: w.recorded(state, replace(w.born_record(), phase=Phase.DELETING)),
}

WITNESSES: Final[dict[str, Callable[[ClusterState], ClusterState]]] = {
    "the API answers": lambda state: state,
    "the API is silent": lambda state: replace(state, kube={k: Unknown("timed out", w.NOW) for k in state.kube}),
}

SNAPSHOTS: Final = (False, True)


@dataclass(frozen=True, slots=True)
class Start:
    """One start state, in words and as an observation."""

    classes: tuple[str, ...]
    record: str
    witness: str
    snapshot: bool
    spec: ClusterSpec
    state: ClusterState

    def __str__(self) -> str:
        """Say it in words."""
        saved = "a snapshot saved" if self.snapshot else "no snapshot"
        return f"[{'; '.join(self.classes)}] {self.record}, {self.witness}, {saved}"


def count(masters: int) -> int:
    """Count the start states of a control plane of this size."""
    multisets = comb(len(CLASSES) + masters - 1, masters)
    return multisets * len(RECORDS) * len(WITNESSES) * len(SNAPSHOTS)


def starts(masters: int, chosen: Callable[[int], bool] = lambda _: True) -> Iterator[Start]:
    """Give the start states whose number (from 0) is chosen."""
    number = 0
    spec = w.a_spec(masters, workers=1, load_balancer=False)
    for classes in combinations_with_replacement(CLASSES, masters):
        made: ClusterState | None = None
        for record in RECORDS:
            for witness in WITNESSES:
                for snapshot in SNAPSHOTS:
                    if chosen(number):
                        made = made or _cluster(spec, classes)
                        state = WITNESSES[witness](RECORDS[record](made))
                        state = _with_snapshots(state, spec) if snapshot else state
                        yield Start(classes, record, witness, snapshot, spec, state)
                    number += 1


def _cluster(spec: ClusterSpec, classes: tuple[str, ...]) -> ClusterState:
    state = w.healthy(spec)
    for name, what in zip(spec.master_names, classes, strict=True):
        state = CLASSES[what](state, name)
    return w.read_through_a_voter(w.without_quorum(state) if quorum_lost(state) else state)


def _with_snapshots(state: ClusterState, spec: ClusterSpec) -> ClusterState:
    """Lay snapshots for every repair on the first voter that answers."""
    answering = [n for n in spec.master_names if (s := state.server(n)) and (f := state.facts(s.id)) and f.voter]
    for name in answering[:1]:
        for lost in spec.master_names:
            state = w.with_snapshot(state, name, w.server_id_of(lost))
    return state
