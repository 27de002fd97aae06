"""What is refused about a cluster in an external database: (state, codes, spec, intent)."""

from __future__ import annotations

from dataclasses import replace

from tests.decide import on_database as d
from tests.decide import world as w
from tests.decide.world import CREATE, MASTER1, MASTER2, MASTER3

from hetzner_k3s.model.consents import LATEST, Consent, Consents, Keep, NewClusterOver, Replace, ResetQuorumFrom
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState


def _given(*consents: Consent) -> Intent:
    return replace(CREATE, consents=Consents.of(*consents))


def _all_silent() -> ClusterState:
    state = d.served()
    for name in d.SPEC.master_names:
        state = w.unreachable(state, name)
    return replace(state, kube={})


def _with_an_agent_token(state: ClusterState) -> ClusterState:
    return w.recorded(state, replace(d.record(), agent="a" * 12))


def _birth_on_anothers() -> ClusterState:
    """Begin a cluster in a database that holds another one."""
    seed = w.replacement_of(MASTER1)
    state = w.nothing().with_view(w.surroundings(d.SPEC, BirthRecord(phase=Phase.BOOTSTRAPPING, seed=seed)))
    return d.begun(state, MASTER1, d.SEALED)


ON_DATABASE: dict[str, tuple[ClusterState, tuple[str, ...], ClusterSpec, Intent]] = {
    "the file names etcd, the cluster lives in a database": (
        d.all_lost(),
        ("datastore.changed",),
        w.SPEC,
        CREATE,
    ),
    "the file names a database, the masters have an etcd": (
        w.lose(w.healthy(), MASTER1),
        ("datastore.changed",),
        d.SPEC,
        CREATE,
    ),
    "the file names another database": (
        d.served(),
        ("datastore.changed",),
        d.spec_of(endpoint=d.OTHER_ENDPOINT),
        CREATE,
    ),
    "the database is down": (d.down(), ("datastore.unreachable",), d.SPEC, CREATE),
    "the database is down and a master is lost": (
        d.lost(d.down(), MASTER2),
        ("datastore.unreachable",),
        d.SPEC,
        CREATE,
    ),
    "a birth in a database that holds another cluster": (
        _birth_on_anothers(),
        ("datastore.other-token",),
        d.SPEC,
        CREATE,
    ),
    "all masters on a database lost, the token is another one": (
        d.begun(d.all_lost(token=False, local=("e" * 12,)), MASTER1, d.SEALED, token="e" * 12),
        ("datastore.other-token",),
        d.SPEC,
        CREATE,
    ),
    "all masters on a database lost, no token": (
        d.all_lost(token=False),
        ("datastore.token-unknown",),
        d.SPEC,
        CREATE,
    ),
    "all masters on a database lost, the agents' token is nowhere": (
        _with_an_agent_token(d.all_lost()),
        ("token.agent-unknown",),
        d.SPEC,
        CREATE,
    ),
    "no master on a database can be looked at": (_all_silent(), ("masters.none-serves",), d.SPEC, CREATE),
    "masters on a database are not ready, for no reason told": (
        d.down(words=""),
        ("masters.none-serves",),
        d.SPEC,
        CREATE,
    ),
    "one master on a database is not ready": (
        d.said(d.served(), MASTER2, d.KINE),
        ("master.not-ready",),
        d.SPEC,
        CREATE,
    ),
    "consents about etcd, for a cluster in a database": (
        d.served(),
        ("consent.unfit",) * 4,
        d.SPEC,
        _given(ResetQuorumFrom(MASTER1), LATEST, Keep("ab12ab12"), NewClusterOver("ab12ab12")),
    ),
    "a master on a database is to be discarded and serves": (
        d.served(),
        ("consent.unfit",),
        d.SPEC,
        _given(Replace(MASTER3)),
    ),
    "a master on a database is to be discarded and no other serves": (
        _all_silent(),
        ("masters.none-serves", "consent.unfit"),
        d.SPEC,
        _given(Replace(MASTER3)),
    ),
}
