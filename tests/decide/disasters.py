"""Quorum lost, in every shape: what is left, what became of the others, which of them was named."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.cases import case
from tests.decide.world import (
    CREATE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NETWORK,
    OTHER_CA,
    OTHER_UID,
    SPEC,
    a_spec,
    database_deleted,
    edit_etcd,
    edit_facts,
    edit_kube,
    edit_server,
    healthy,
    lose,
    other_identity,
    server_id_of,
    unreachable,
    with_server,
    without_member,
    without_quorum,
)

from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.consents import Consents, Keep, ResetQuorumFrom
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import EtcdFacts, HostFacts, LogPosition, UnitFacts
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

FIVE = a_spec(5)
MASTER4, MASTER5 = "prod-master4", "prod-master5"


def resetting(name: str) -> Intent:
    """Consent to a reset from this master."""
    return replace(CREATE, consents=Consents.of(ResetQuorumFrom(name)))


def disaster(spec: ClusterSpec = SPEC) -> ClusterState:
    """Lose the lower majority of the masters by number: quorum is gone with them."""
    state = healthy(spec)
    for master in spec.masters[: len(spec.masters) // 2 + 1]:
        state = lose(state, master.name)
    return without_quorum(state)


_LOG = LogPosition(5, 900)


def held(state: ClusterState, name: str, log: LogPosition | None = _LOG) -> ClusterState:
    """Hold a master down, its log as given."""

    def change(facts: HostFacts) -> HostFacts:
        stopped = replace(facts, held=True, server_unit=UnitFacts(active="inactive"), etcd=EtcdFacts())
        return replace(stopped, log=log)

    return edit_facts(state, name, change)


def stored(state: ClusterState, name: str, uid: str) -> ClusterState:
    """Let the file of a held master's etcd hold this kube-system UID."""
    return edit_facts(state, name, lambda facts: replace(facts, stored_uid=uid))


def fenced(state: ClusterState, name: str) -> ClusterState:
    """Move a master's data aside."""
    return edit_facts(
        held(state, name, None), name, lambda f: replace(f, held=False, disk=type(f.disk)(config_present=True))
    )


def of_lineage(state: ClusterState, name: str, lineage: str, parent: str | None) -> ClusterState:
    """Note a lineage on a master's host."""
    return edit_facts(state, name, lambda f: replace(f, lineage=lineage, parent_lineage=parent))


def labelled_lineage(state: ClusterState, name: str, lineage: str) -> ClusterState:
    """Label a master's server with a lineage."""
    return edit_server(state, name, lambda s: replace(s, labels={**s.labels, "hetzner-k3s/lineage": lineage}))


def seed_gone(state: ClusterState, answer: Known[bool] | Unknown) -> ClusterState:
    """Answer the question after the recorded seed's server like this."""
    return replace(state, lookups={**state.lookups, FIRST_MASTER: answer})


STRANGER = Server(id=900, name="db", status=ServerStatus.RUNNING, private_ips={NETWORK: "10.0.0.2"})
_TWO_HELD = held(held(disaster(FIVE), MASTER4, LogPosition(5, 900)), MASTER5, LogPosition(5, 901))


def forgotten(state: ClusterState, name: str) -> ClusterState:
    """Let a master that had joined wait for ever with its data, listed by nobody."""
    etcd, unit = EtcdFacts(healthy=False, reason="RAFT NO LEADER"), UnitFacts(active="activating")
    waiting = edit_facts(state, name, lambda f: replace(f, server_unit=unit, etcd=etcd))
    return without_member(waiting, server_id_of(name))


def keeping(what: str) -> Intent:
    """Consent to keep the side of these digits."""
    return replace(CREATE, consents=Consents.of(Keep(what)))


DISASTERS = {
    "a master that had joined is listed by nobody": case(
        forgotten(forgotten(healthy(), MASTER2), MASTER3), "master.former"
    ),
    "a side is kept that nobody is": case(
        other_identity(healthy(), MASTER3), "identity.split", "consent.unfit", intent=keeping("00000000")
    ),
    "a side is kept that the record does not know": case(
        other_identity(healthy(), MASTER3), "identity.split", "consent.unfit", intent=keeping(OTHER_CA[:8])
    ),
    "quorum lost, two survivors of five": case(disaster(FIVE), "quorum.lost", spec=FIVE),
    "quorum lost, stopped and masked by a run that was killed": case(held(disaster(), MASTER3), "quorum.lost"),
    "quorum lost, stopped and masked, and the log cannot be read": case(held(disaster(), MASTER3, None), "quorum.lost"),
    "a reset, but another master is unreachable": case(
        unreachable(without_quorum(lose(healthy(), MASTER1)), MASTER2),
        "quorum.reset-unsafe",
        intent=resetting(MASTER3),
    ),
    "a reset, but the seed could not be asked for by its id": case(
        seed_gone(disaster(), Unknown("500")), "quorum.reset-unsafe", intent=resetting(MASTER3)
    ),
    "a reset, but the seed exists although no listing shows it": case(
        seed_gone(disaster(), Known(True)), "quorum.reset-unsafe", intent=resetting(MASTER3)
    ),
    "a reset, but a server stands in our network that nobody knows": case(
        with_server(disaster(), STRANGER), "quorum.reset-unsafe", intent=resetting(MASTER3)
    ),
    "a reset, but another master is of another lineage": case(
        of_lineage(without_quorum(lose(healthy(), MASTER1)), MASTER2, "9999", "8888"),
        "master.past",
        "quorum.reset-unsafe",
        intent=resetting(MASTER3),
    ),
    "a reset from the master whose log is shorter": case(
        _TWO_HELD, "quorum.reset-behind", spec=FIVE, intent=resetting(MASTER4)
    ),
    "a reset, but a log cannot be read": case(
        held(_TWO_HELD, MASTER4, None), "quorum.log-unreadable", spec=FIVE, intent=resetting(MASTER5)
    ),
    "a reset beside a master whose data is another cluster's": case(
        stored(_TWO_HELD, MASTER4, OTHER_UID), "quorum.reset-unsafe", spec=FIVE, intent=resetting(MASTER5)
    ),
    "a reset from a master whose data is another cluster's": case(
        stored(_TWO_HELD, MASTER4, OTHER_UID), "consent.unfit", spec=FIVE, intent=resetting(MASTER4)
    ),
    "a reset from a master that the file does not name": case(
        disaster(), "consent.unfit", intent=resetting("prod-master9")
    ),
    "a reset from a master that is lost": case(disaster(), "consent.unfit", intent=resetting(MASTER1)),
    "a reset from a master whose database is gone": case(
        without_quorum(lose(database_deleted(healthy(), MASTER2), MASTER1)), "consent.unfit", intent=resetting(MASTER2)
    ),
    "no leader is found by those that are left": case(without_quorum(lose(healthy(), MASTER1)), "quorum.lost"),
    "a reset while all masters run": case(
        without_quorum(healthy()), "masters.none-healthy", "consent.unfit", intent=resetting(MASTER3)
    ),
    "a reset while enough masters run and nobody heard their etcd": case(
        edit_etcd(lose(healthy(), MASTER1), lambda _: EtcdFacts()),
        "masters.none-healthy",
        "consent.unfit",
        intent=resetting(MASTER3),
    ),
    "a reset while quorum is held": case(healthy(), "consent.unfit", intent=resetting(MASTER3)),
    "a master is stopped and masked beside a quorum": case(held(healthy(), MASTER3), "master.held"),
    "a master of another lineage by its label": case(labelled_lineage(healthy(), MASTER3, "9999"), "record.conflict"),
    "a master of another lineage by its own note": case(of_lineage(healthy(), MASTER3, "9999", "8888"), "master.past"),
    "the past lives, and the record knows a younger lineage": case(
        edit_kube(healthy(), lambda v: replace(v, lineage="0000")), "identity.lineage"
    ),
}
