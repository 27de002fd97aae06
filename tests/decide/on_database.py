"""Observations of a cluster that lives in an external database: its masters serve, and hold none of its data."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.decide import world as w

from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, HostFacts, SupervisorFacts, UnitFacts
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec, DatabaseSpec
from hetzner_k3s.model.state import ClusterState

ENDPOINT: Final = "postgres://k3s:secret@10.9.0.5:5432/kine"
OTHER_ENDPOINT: Final = "postgres://k3s:secret@10.9.0.6:5432/kine"
TOKEN: Final = "f" * 12
KINE: Final = (
    'level=fatal msg="Error: preparing server: creating storage endpoint: building kine: dial tcp 10.9.0.5:5432: '
    'connect: connection refused"'
)
SEALED: Final = (
    'level=fatal msg="Error: preparing server: failed to bootstrap cluster data: bootstrap data already found and '
    'encrypted with different token"'
)


def spec_of(masters: int = 3, workers: int = 2, endpoint: str = ENDPOINT) -> ClusterSpec:
    """Make the wish for a cluster in a database."""
    return replace(w.a_spec(masters, workers), database=DatabaseSpec(endpoint=Secret(endpoint)))


SPEC: Final = spec_of()
DIGITS: Final = SPEC.database.digits if SPEC.database else ""


def record() -> BirthRecord:
    """Give its birth record."""
    return replace(w.born_record(), database=DIGITS)


def served(spec: ClusterSpec = SPEC) -> ClusterState:
    """Look at a cluster in a database that is as the file wants it."""
    state = w.recorded(w.healthy(spec), record())
    for name in spec.master_names:
        state = w.edit_facts(state, name, _serving)
    for worker in spec.workers():
        state = w.edit_facts(state, worker.name, _holding)
    return state


def _serving(facts: HostFacts) -> HostFacts:
    disk = DiskFacts(
        server_ca=w.CA,
        token_hash=TOKEN,
        config_token_hash=TOKEN,
        config_token_ca=w.CA,
        config_database=DIGITS,
        config_present=True,
    )
    supervisor = SupervisorFacts(token_accepted=True, api_answers=True, uid=w.UID)
    return replace(facts, disk=disk, etcd=EtcdFacts(), supervisor=supervisor)


def _holding(facts: HostFacts) -> HostFacts:
    return replace(facts, disk=replace(facts.disk, config_token_hash=TOKEN, config_token_ca=w.CA))


def said(state: ClusterState, name: str, words: str = "", active: str = "activating") -> ClusterState:
    """Let a master's k3s not serve; `words` are its last ones."""

    def change(facts: HostFacts) -> HostFacts:
        return replace(
            facts, server_unit=UnitFacts(active=active), supervisor=SupervisorFacts(complaint=words, api_answers=False)
        )

    return _elsewhere(w.edit_facts(state, name, change))


def _elsewhere(state: ClusterState) -> ClusterState:
    """Read the API through a master that serves, or through none."""
    readings = list(state.kube.values())
    serving = [k for k, f in sorted(state.hosts.items()) if isinstance(f, Known) and f.value.serves]
    return replace(state, kube={serving[0]: readings[0]} if readings and serving else {})


def down(words: str = KINE) -> ClusterState:
    """Let the database answer no master."""
    state = served()
    for name in SPEC.master_names:
        state = said(state, name, words)
    return state


def lost(state: ClusterState, *names: str) -> ClusterState:
    """Delete servers at Hetzner; their Nodes are still there."""
    for name in names:
        state = _elsewhere(w.lose(state, name))
    return state


def all_lost(*, token: bool = True, local: tuple[str, ...] = ()) -> ClusterState:
    """Delete every master at Hetzner; `token`: the workers hold theirs, `local`: what this machine was given."""
    state = lost(served(), *SPEC.master_names)
    if not token:
        state = lost(state, *(worker.name for worker in SPEC.workers()))
    return replace(state, local=replace(state.local, token_hashes=local, kept=()))


def begun(state: ClusterState, name: str, words: str = "", token: str = TOKEN) -> ClusterState:
    """Add a fresh server whose k3s was started on the database and does not serve yet."""
    state = w.ready(state, SPEC, name, w.replacement_of(name))

    def change(facts: HostFacts) -> HostFacts:
        disk = DiskFacts(
            config_present=True, config_database=DIGITS, config_token_hash=token, config_token_ca=w.CA, server_ca=w.CA
        )
        disk = disk if not words else replace(disk, server_ca=None)
        unit = UnitFacts(active="activating")
        return replace(facts, server_unit=unit, disk=disk, supervisor=SupervisorFacts(complaint=words))

    return w.edit_facts(state, name, change)
