"""States that are not ours to repair, and what must be said about each: the names are sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.decide.cases import case
from tests.decide.disasters import DISASTERS
from tests.decide.refused_restore import LOST
from tests.decide.world import (
    CA,
    CLUSTER,
    CREATE,
    DELETE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NETWORK,
    NO_RECORD,
    NOW,
    OTHER_CA,
    OTHER_UID,
    PRUNE,
    PUBLIC_KEY,
    SPEC,
    WORKER1,
    a_spec,
    born_record,
    disconnected,
    edit_etcd,
    edit_facts,
    edit_kube,
    edit_node,
    edit_server,
    forgetful,
    healthy,
    joining,
    lose,
    member_id_of,
    not_ready,
    nothing,
    off,
    other_identity,
    ready,
    rebuilt,
    recorded,
    replacement_of,
    server_id_of,
    stopped,
    surroundings,
    unlistable,
    unreachable,
    with_listing,
    with_server,
    without_member,
    without_node,
    without_quorum,
)

from hetzner_k3s.model.cloud import CloudView, Server, ServerStatus
from hetzner_k3s.model.consents import Consents
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import EtcdFacts, HostFacts, Member, SupervisorFacts
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec, NetworkSpec, SshSpec
from hetzner_k3s.model.state import UNREADABLE, ClusterState, LocalEvidence

FIVE = a_spec(5, 0)
ONE = a_spec(1, 0)
MOVED_ON = (*FIVE.masters[:2], replace(FIVE.masters[2], name="prod-master6", index=6))
"""The masters of a file that wants a sixth and neither the third, nor the fourth, nor the fifth."""
NO_BIRTH = forgetful(with_listing(nothing(), **{f: getattr(surroundings(SPEC), f) for f in CloudView.__slots__}))
"""Everything but servers is there, and nobody remembers a birth."""
UNFINISHED = recorded(NO_BIRTH, BirthRecord(phase=Phase.BOOTSTRAPPING, seed=FIRST_MASTER))
"""A birth was begun on server 101, which is not there any more."""
FOREIGN = Server(id=901, name=MASTER1, status=ServerStatus.RUNNING, public_ipv4="192.0.2.1")


def fresh(state: ClusterState, name: str) -> ClusterState:
    return ready(lose(state, name), SPEC, name, replacement_of(name))


def all_lost(spec: ClusterSpec = SPEC) -> ClusterState:
    state = healthy(spec)
    for name in spec.master_names:
        state = lose(state, name)
    return without_quorum(state)


def named(state: ClusterState, name: str, new: str) -> ClusterState:
    return edit_server(state, name, lambda s: replace(s, name=new))


def stray(state: ClusterState, member: Member) -> ClusterState:
    return edit_etcd(state, lambda etcd: replace(etcd, members=(*(etcd.members or ()), member)))


def not_listening(state: ClusterState, name: str) -> ClusterState:
    """Let a master's etcd answer nothing while its k3s runs."""
    return edit_facts(state, name, lambda f: replace(f, etcd=EtcdFacts()))


def fresh_by_hand(name: str) -> Server:
    """Somebody copies name and labels of a lost server, and knows nothing of host keys."""
    return replace(FOREIGN, name=name, labels={"cluster": CLUSTER, "role": "master"})


def kubeconfig(state: ClusterState, ca: str) -> ClusterState:
    return replace(state, local=LocalEvidence(kubeconfig_ca=ca))


def reset_on(state: ClusterState, name: str) -> ClusterState:
    """`--cluster-reset` on one master: same CA, UID and member id, but a list of its own."""

    def alone(facts: HostFacts) -> HostFacts:
        me = tuple(m for m in facts.etcd.members or () if m.id == facts.etcd.member_id)
        return replace(facts, etcd=replace(facts.etcd, members=me, active_peers=()))

    return edit_facts(state, name, alone)


def alarmed(state: ClusterState, name: str, alarm: str) -> ClusterState:
    """A member raises an alarm, and every etcd tells of it."""
    error = f"memberID:{member_id_of(server_id_of(name))} alarm:{alarm}"
    return edit_etcd(state, lambda etcd: replace(etcd, errors=(error,)))


def running_with(state: ClusterState, critical: Mapping[str, str]) -> ClusterState:
    """The masters tell the critical arguments that they run with."""
    told = SupervisorFacts(token_accepted=True, critical=critical, api_answers=True)
    for name in SPEC.master_names:
        server = state.server(name)
        if server is not None and state.facts(server.id) is not None:
            state = edit_facts(state, name, lambda f: replace(f, supervisor=told))
    return state


OLD_TOKEN, NEW_TOKEN = "0" * 12, "1" * 12
"""What tokens are known by: the first digits of their passwords' hashes."""


def with_tokens(state: ClusterState, name: str, *, config: str, pinned: str | None = CA) -> ClusterState:
    """The config.yaml of a master holds this token."""

    def change(facts: HostFacts) -> HostFacts:
        return replace(facts, disk=replace(facts.disk, config_token_hash=config, config_token_ca=pinned))

    return edit_facts(state, name, change)


def holding(state: ClusterState, name: str, token: str, *, accepted: bool = False) -> ClusterState:
    """The file `server/token` of a master holds this token; the k3s that runs may have been started with it."""

    def change(facts: HostFacts) -> HostFacts:
        supervisor = replace(facts.supervisor, token_accepted=accepted)
        return replace(facts, disk=replace(facts.disk, token_hash=token), supervisor=supervisor)

    return edit_facts(state, name, change)


def rotated(state: ClusterState, config: str = OLD_TOKEN) -> ClusterState:
    """The datastore knows a new token only; every master runs with the old one, and has it in its files."""
    for name in SPEC.master_names:
        server = state.server(name)
        if server is not None and state.facts(server.id) is not None:
            state = with_tokens(holding(state, name, OLD_TOKEN, accepted=True), name, config=config)
    return edit_etcd(state, lambda etcd: replace(etcd, bootstrap_keys=(NEW_TOKEN,)))


def kept_out(
    state: ClusterState, name: str, *, config: str = OLD_TOKEN, token: str = OLD_TOKEN, restarts: int = 4
) -> ClusterState:
    """A master was restarted with the token from before a rotation: its k3s ends at each start."""
    state = with_tokens(stopped(not_ready(state, name), name), name, config=config)

    def change(facts: HostFacts) -> HostFacts:
        unit = replace(facts.server_unit, active="activating", restarts=restarts)
        return replace(facts, server_unit=unit, disk=replace(facts.disk, token_hash=token, passwd_hash=token))

    return edit_facts(state, name, change)


def clock_off(state: ClusterState, name: str, seconds: float) -> ClusterState:
    return edit_facts(state, name, lambda f: replace(f, ahead=seconds))


MASTERS = {
    "a master was made anew by hand": case(
        with_server(lose(healthy(), MASTER1), replace(fresh_by_hand(MASTER1), private_ips={NETWORK: "10.0.0.101"})),
        "server.by-hand",
    ),
    "a birth was cut off before etcd had written anything": case(
        edit_facts(
            ready(UNFINISHED, SPEC, MASTER1),
            MASTER1,
            lambda f: replace(
                f, disk=replace(f.disk, server_ca=CA), server_unit=replace(f.server_unit, active="failed")
            ),
        ),
        "birth.half-begun",
    ),
    "a former master is powered off": case(
        off(without_member(healthy(), 102), MASTER2),
        "master.former",
    ),
    "a master has a status that we do not know": case(
        edit_server(off(healthy(), MASTER2), MASTER2, lambda s: replace(s, status=ServerStatus.OTHER)),
        "master.unreachable",
    ),
    "a master was rebuilt": case(rebuilt(healthy(), MASTER1), "master.rebuilt"),
    "a master's Node is NotReady": case(not_ready(healthy(), MASTER3), "master.not-ready"),
    "a master answers neither us nor its peers": case(
        disconnected(unreachable(healthy(), MASTER2), 102), "master.unreachable"
    ),
    "a master answers neither us nor its peers, and quorum needs it": case(
        disconnected(unreachable(not_listening(healthy(), MASTER3), MASTER2), 102),
        "master.unreachable",
        "master.not-ready",
    ),
    "a master was not looked at": case(
        disconnected(replace(healthy(), hosts={k: v for k, v in healthy().hosts.items() if k != 103}), 103),
        "master.unreachable",
    ),
    "a former master's k3s is stopped, and what lives may have been reset": case(
        without_member(without_member(stopped(lose(healthy(), MASTER2), MASTER3), 102), 103), "master.former"
    ),
    "a master's k3s starts while its etcd is well": case(
        edit_facts(healthy(), MASTER3, lambda f: replace(f, server_unit=replace(f.server_unit, active="activating"))),
        "master.not-ready",
    ),
    "a master's etcd is a learner": case(
        edit_facts(healthy(), MASTER3, lambda f: replace(f, etcd=replace(f.etcd, learner=True))), "master.not-ready"
    ),
    "a master's data is corrupt": case(
        alarmed(healthy(), MASTER3, "CORRUPT"),
        "master.not-ready",
    ),
    "a master left the network": case(
        edit_server(healthy(), MASTER2, lambda s: replace(s, private_ips={})), "master.not-ready"
    ),
    "two masters lost, quorum lost": case(without_quorum(lose(lose(healthy(), MASTER1), MASTER2)), "quorum.lost"),
    "all masters lost": case(all_lost(), "masters.all-lost"),
    "the only master lost": case(all_lost(ONE), "masters.all-lost", spec=ONE),
    "all survivors unreachable and one fresh replacement reachable": case(
        unreachable(unreachable(fresh(healthy(), MASTER1), MASTER2), MASTER3),
        "masters.none-healthy",
    ),
}

KEYS = {
    "a master answers with another host key": case(
        unreachable(healthy(), MASTER2, SshStage.HOST_KEY, "it showed the key zzzz"), "host.key-changed"
    ),
    "a master refuses our key": case(
        unreachable(healthy(), MASTER2, SshStage.AUTH, "Permission denied (publickey)"), "host.denied"
    ),
}

IDENTITY = {
    "split by CA": case(other_identity(healthy(), MASTER3), "identity.split"),
    "split by UID alone": case(other_identity(healthy(), MASTER3, ca="ab12" * 16), "identity.split"),
    "all masters are of another cluster than the record": case(
        recorded(healthy(), replace(born_record(), ca=OTHER_CA[:40])),
        "identity.other",
        "identity.agent",
        "identity.agent",
        "masters.none-healthy",
    ),
    "the UID is another one than the record's": case(
        recorded(healthy(), replace(born_record(), uid=OTHER_UID)), "identity.other", "masters.none-healthy"
    ),
    "a silent host holds another cluster's data": case(
        edit_facts(
            joining(lose(healthy(), MASTER3), SPEC, MASTER3, replacement_of(MASTER3)),
            MASTER3,
            lambda f: replace(f, disk=replace(f.disk, server_ca=OTHER_CA, wal=True)),
        ),
        "identity.other",
    ),
    "one master was reset and the others live on": case(reset_on(healthy(), MASTER1), "identity.two-lists"),
    "the cluster's own lineage is another one": case(
        edit_kube(healthy(), lambda v: replace(v, lineage="9999")), "identity.lineage"
    ),
    "a worker holds another cluster's CA": case(
        edit_facts(healthy(), WORKER1, lambda f: replace(f, disk=replace(f.disk, agent_ca=OTHER_CA))), "identity.agent"
    ),
    "the kubeconfig is another cluster's": case(kubeconfig(healthy(), OTHER_CA), "kubeconfig.other-cluster"),
    "the kubeconfig cannot be read": case(kubeconfig(healthy(), UNREADABLE), "kubeconfig.other-cluster"),
    "two values of the CA are recorded": case(
        edit_server(healthy(), MASTER3, lambda s: replace(s, labels={**s.labels, "hetzner-k3s/ca": OTHER_CA[:40]})),
        "record.conflict",
    ),
}

LISTING = {
    "the listing is incomplete": case(unlistable(healthy()), "listing.incomplete"),
    "the listing is incomplete and the file names existing resources": case(
        unlistable(nothing()),
        "listing.incomplete",
        spec=replace(SPEC, network=NetworkSpec(existing_network_name="shared")),
    ),
    "the cluster is being deleted": case(
        recorded(healthy(), replace(born_record(), phase=Phase.DELETING)), "cluster.deleting"
    ),
    "a foreign server has a master's name": case(with_server(lose(healthy(), MASTER1), FOREIGN), "server.foreign"),
    "a server of ours has another role than the file says": case(
        edit_server(healthy(), WORKER1, lambda s: replace(s, labels={"cluster": CLUSTER, "role": "master"})),
        "server.foreign",
    ),
    "masters exist under other names": case(
        named(healthy(), MASTER3, "prod-cpx22-master3"),
        "masters.other-names",
        "member.unexplained",
        "node.unexplained",
    ),
    "an unlabelled server has a name that a master can have": case(
        with_server(NO_BIRTH, replace(FOREIGN, name="prod-cpx11-master1")), "masters.other-names", "birth.not-empty"
    ),
    "a foreign network has our name": case(
        with_listing(NO_BIRTH, networks=(replace(NO_BIRTH.view.networks[0], labels={}),)), "resource.foreign"
    ),
    "a foreign firewall has our name": case(
        with_listing(NO_BIRTH, firewalls=(replace(NO_BIRTH.view.firewalls[0], labels={}),)), "resource.foreign"
    ),
    "the network that the file says exists does not": case(
        nothing(), "network.missing", spec=replace(SPEC, network=NetworkSpec(existing_network_name="shared"))
    ),
    "the network of a born cluster is gone": case(
        with_listing(healthy(), networks=()),
        "network.gone",
        "masters.none-healthy",
    ),
    "our key's name is taken by another key": case(
        with_listing(NO_BIRTH, ssh_keys=(replace(NO_BIRTH.view.ssh_keys[0], fingerprint="00:11"),)), "ssh-key.other"
    ),
    "the key that the file names does not exist": case(
        nothing(),
        "ssh-key.other",
        spec=replace(
            SPEC,
            ssh=SshSpec(
                private_key_path=None, public_key_path="p", public_key=PUBLIC_KEY, existing_ssh_key_name="mine"
            ),
        ),
    ),
}

BIRTH = {
    "the token is another project's and the kubeconfig is here": case(
        kubeconfig(nothing(), "ab12" * 16), "birth.kubeconfig"
    ),
    "the token is another project's and a file that cannot be read is here": case(
        kubeconfig(nothing(), UNREADABLE), "birth.kubeconfig"
    ),
    "the token is another project's and the journal remembers a birth": case(
        replace(nothing(), local=LocalEvidence(open_birth=True)), "birth.journal"
    ),
    "a server without a record holds data": case(
        with_listing(recorded(forgetful(healthy(ONE)), NO_RECORD)), "birth.not-empty", spec=ONE
    ),
    "a worker without a record was joined": case(
        edit_facts(
            ready(NO_BIRTH, SPEC, WORKER1), WORKER1, lambda f: replace(f, disk=replace(f.disk, agent_ca=OTHER_CA))
        ),
        "birth.not-empty",
    ),
    "a master that joined is off and there is no record": case(
        recorded(forgetful(off(healthy(ONE), MASTER1)), NO_RECORD), "birth.not-empty", spec=ONE
    ),
    "a server stands in our network that nobody knows": case(
        with_server(NO_BIRTH, replace(FOREIGN, name="db", private_ips={NETWORK: "10.0.0.2"})), "birth.not-empty"
    ),
    "another server holds data while a birth is unfinished": case(
        edit_facts(
            ready(
                ready(recorded(NO_BIRTH, replace(NO_RECORD, phase=Phase.BOOTSTRAPPING, seed=101)), SPEC, MASTER1),
                SPEC,
                MASTER2,
            ),
            MASTER2,
            lambda f: replace(f, disk=replace(f.disk, server_ca=OTHER_CA, wal=True)),
        ),
        "birth.not-empty",
    ),
    "the seed of an unfinished birth is not listed, and was not asked for": case(UNFINISHED, "birth.seed"),
    "the seed of an unfinished birth could not be asked for": case(
        replace(UNFINISHED, lookups={FIRST_MASTER: Unknown("500", NOW)}), "birth.seed"
    ),
    "the seed of an unfinished birth exists although no listing shows it": case(
        replace(UNFINISHED, lookups={FIRST_MASTER: Known(True)}), "birth.seed"
    ),
    "the seed of an unfinished birth has another name": case(
        with_server(UNFINISHED, replace(FOREIGN, id=FIRST_MASTER, name="keep-me", private_ips={NETWORK: "10.0.0.2"})),
        "birth.not-empty",
        "birth.seed",
    ),
    "the seed of an unfinished birth does not answer": case(
        unreachable(ready(UNFINISHED, SPEC, MASTER1), MASTER1), "master.unreachable"
    ),
    "the phase's label was lost, not the CA's": case(
        recorded(forgetful(NO_BIRTH), BirthRecord(ca="ab12" * 10)), "masters.all-lost"
    ),
}

MEMBERS = {
    "a member of no master of the file": case(
        stray(
            healthy(), Member(id="7", name="kept-master9-aaaa", peer_urls=("https://10.0.0.99:2380",), learner=False)
        ),
        "member.unexplained",
    ),
    "a master must join while one beyond the file is dead": case(
        lose(healthy(FIVE), "prod-master5"), "surplus.in-the-way", spec=replace(a_spec(5, 0), masters=MOVED_ON)
    ),
    "a master beyond the file is to go and does not answer": case(
        unreachable(healthy(FIVE), "prod-master5"), "surplus.unwell", spec=a_spec(3, 0), intent=PRUNE
    ),
    "a master beyond the file is to go and has just begun to join": case(
        edit_etcd(
            joining(healthy(), FIVE, "prod-master5"),
            lambda e: replace(
                e,
                members=(
                    *(e.members or ()),
                    Member(id="7", name="", peer_urls=("https://10.0.0.105:2380",), learner=True),
                ),
            ),
        ),
        "surplus.unwell",
        spec=a_spec(3, 2),
        intent=PRUNE,
    ),
    "a master beyond the file is to go and is off": case(
        off(healthy(FIVE), "prod-master4"), "surplus.unwell", spec=a_spec(3, 0), intent=PRUNE
    ),
    "a worker beyond the file is to go and is protected": case(
        edit_server(healthy(), "prod-pool-small-worker2", lambda s: replace(s, protected=True)),
        "surplus.protected",
        spec=a_spec(3, 1),
        intent=PRUNE,
    ),
    "a master beyond the file is to go and is protected": case(
        edit_server(healthy(FIVE), "prod-master5", lambda s: replace(s, protected=True)),
        "surplus.protected",
        spec=a_spec(3, 0),
        intent=PRUNE,
    ),
    "a member that never started, at nobody's address": case(
        stray(healthy(), Member(id="7", name="", peer_urls=("https://10.0.0.99:2380",), learner=False)),
        "member.unexplained",
    ),
    "a learner that never started, at a worker's address": case(
        stray(healthy(), Member(id="7", name="", peer_urls=("https://10.0.0.201:2380",), learner=True)),
        "member.unexplained",
    ),
    "a member without an address": case(
        stray(healthy(), Member(id="7", name="", peer_urls=(), learner=False)), "member.unexplained"
    ),
    "the address of the dead member is held by a server we know nothing of": case(
        with_server(
            without_node(lose(healthy(), MASTER1), MASTER1),
            replace(FOREIGN, name="db", private_ips={NETWORK: "10.0.0.101"}),
        ),
        "member.unexplained",
    ),
    "the dead member's server still exists although no listing shows it": case(
        replace(lose(healthy(), MASTER1), lookups={FIRST_MASTER: Known(True)}), "member.unexplained", "node.unexplained"
    ),
    "the dead member's server could not be asked for": case(
        replace(lose(healthy(), MASTER1), lookups={FIRST_MASTER: Unknown("500", NOW)}),
        "member.unexplained",
        "node.unexplained",
    ),
    "a member is dead while another one is a learner": case(
        edit_etcd(
            lose(healthy(FIVE), MASTER1),
            lambda e: replace(e, members=tuple(replace(m, learner=m.id == member_id_of(105)) for m in e.members or ())),
        ),
        "master.not-ready",
        "member.removal-unsafe",
        spec=FIVE,
    ),
    "a lost worker's server could not be asked for": case(
        replace(lose(healthy(), WORKER1), lookups={}), "node.unexplained"
    ),
    "a worker's server has another name now": case(named(healthy(), WORKER1, "keep-me"), "node.unexplained"),
    "a worker's Node carries no id and its address is held by another server": case(
        named(
            edit_node(healthy(), WORKER1, lambda n: replace(n, server_id=None, provider_id=None)), WORKER1, "keep-me"
        ),
        "node.unexplained",
    ),
}

WORKERS = {
    "a worker does not answer": case(unreachable(healthy(), WORKER1), "worker.unreachable"),
    "a worker answers with another host key": case(
        unreachable(healthy(), WORKER1, SshStage.HOST_KEY, "it showed the key zzzz"), "worker.key-changed"
    ),
    "a worker refuses our key": case(unreachable(healthy(), WORKER1, SshStage.AUTH, "denied"), "worker.denied"),
    "a worker was rebuilt": case(rebuilt(healthy(), WORKER1), "worker.rebuilt"),
    "a worker's Node is NotReady": case(not_ready(healthy(), WORKER1), "worker.not-ready"),
}


def encrypting(state: ClusterState, **stages: str) -> ClusterState:
    """The Nodes of masters tell how far the change of the keys of secrets is, by `master1=`…"""
    for master, stage in stages.items():
        state = edit_node(state, f"{CLUSTER}-{master}", lambda n, stage=stage: replace(n, encryption=stage))  # type: ignore[misc]
    return state


BEFORE_A_JOIN = {
    "the keys of secrets are being changed and a master is lost": case(
        encrypting(lose(healthy(), MASTER3), master1="rotate-bb", master2="start-aa", master3="start-aa"),
        "encryption.rotating",
    ),
    "a master has other keys of secrets than another and a third is lost": case(
        encrypting(lose(healthy(), MASTER3), master1="start-bb", master2="start-aa"), "encryption.rotating"
    ),
    "the token is being rotated and a master is lost": case(
        edit_etcd(lose(healthy(), MASTER3), lambda e: replace(e, bootstrap_keys=(NEW_TOKEN, OLD_TOKEN))),
        "token.rotating",
    ),
    "the token was rotated, nobody has the new one, and a master is lost": case(
        lose(rotated(healthy()), MASTER3), "token.unknown"
    ),
    "the token was rotated, no master was restarted, and a master is lost": case(
        lose(rotated(healthy(), config=NEW_TOKEN), MASTER3), "token.not-accepted"
    ),
    "the token was rotated, no master was restarted, and a worker is new": case(
        without_node(lose(rotated(healthy(), config=NEW_TOKEN), WORKER1), WORKER1), "token.not-accepted"
    ),
    "the file asks for another network of pods and a master is lost": case(
        running_with(lose(healthy(), MASTER3), {"cluster-cidr": "10.42.0.0/16", "secrets-encryption": "true"}),
        "config.drift",
    ),
    "the clock of a master that is to join is far ahead": case(
        clock_off(fresh(healthy(), MASTER3), MASTER3, 94.2), "clock.skew"
    ),
    "the clock of a master that is to join is far behind": case(
        clock_off(joining(lose(healthy(), MASTER3), SPEC, MASTER3, replacement_of(MASTER3)), MASTER3, -300.0),
        "clock.skew",
    ),
    "the datastore is full and a master is lost": case(
        alarmed(lose(healthy(), MASTER3), MASTER1, "NOSPACE"), "etcd.no-space"
    ),
    "the datastore is full and a worker is new": case(
        without_node(lose(alarmed(healthy(), MASTER3, "NOSPACE"), WORKER1), WORKER1), "etcd.no-space"
    ),
    "a member that nobody knows has a full datastore and a master is lost": case(
        edit_etcd(
            lose(healthy(), MASTER3), lambda etcd: replace(etcd, errors=("memberID:77 alarm:NOSPACE alarm:ODD",))
        ),
        "etcd.no-space",
    ),
}


def replacing(*names: str) -> Intent:
    return replace(CREATE, consents=Consents(replace=frozenset(names)))


def accepting(ca: str) -> Intent:
    return replace(CREATE, consents=Consents(accept_ca=ca[:8]))


def with_ca(state: ClusterState, ca: str, *, masters: tuple[str, ...] = SPEC.master_names) -> ClusterState:
    """The CA was rotated: masters were restarted with the new one, workers and the kubeconfig here hold the old one."""
    for name in masters:
        state = edit_facts(state, name, lambda f: replace(f, disk=replace(f.disk, server_ca=ca)))
    return state


CONSENTS = {
    "a healthy master is to be discarded": case(healthy(), "consent.unfit", intent=replacing(MASTER2)),
    "a master that the file does not have is to be discarded": case(
        healthy(), "consent.unfit", intent=replacing("prod-master9")
    ),
    "a master that quorum needs is to be discarded": case(
        disconnected(unreachable(not_listening(healthy(), MASTER3), MASTER2), 102),
        "master.unreachable",
        "master.not-ready",
        "consent.unfit",
        intent=replacing(MASTER2),
    ),
    "a master is to be discarded although no quorum is there": case(
        without_quorum(off(off(healthy(), MASTER2), MASTER3)),
        "consent.unfit",
        intent=replacing(MASTER2),
    ),
    "the CA was rotated and nobody said so": case(
        with_ca(healthy(), OTHER_CA), "identity.other", "masters.none-healthy"
    ),
    "another CA is accepted than the masters answer with": case(healthy(), "consent.unfit", intent=accepting(OTHER_CA)),
    "a CA is accepted that one master has not yet": case(
        with_ca(healthy(), OTHER_CA, masters=(MASTER1, MASTER2)),
        "identity.split",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "a CA is accepted while too few masters answer": case(
        without_quorum(with_ca(lose(lose(healthy(), MASTER1), MASTER2), OTHER_CA, masters=(MASTER3,))),
        "identity.other",
        "quorum.lost",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "a CA is accepted for a cluster with another UID": case(
        recorded(with_ca(healthy(), OTHER_CA), replace(born_record(), uid=OTHER_UID)),
        "identity.other",
        "masters.none-healthy",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "a CA is accepted for a cluster of another lineage": case(
        edit_kube(with_ca(healthy(), OTHER_CA), lambda v: replace(v, lineage="9999")),
        "identity.other",
        "identity.lineage",
        "masters.none-healthy",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "a CA is accepted before one is recorded": case(nothing(), "consent.unfit", intent=accepting(OTHER_CA)),
    "a CA is accepted while two lineages are recorded": case(
        edit_server(healthy(), MASTER3, lambda s: replace(s, labels={**s.labels, "hetzner-k3s/lineage": "9999"})),
        "record.conflict",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "an acceptance was cut off and is not given again": case(
        edit_server(
            with_ca(healthy(), OTHER_CA),
            MASTER3,
            lambda s: replace(s, labels={**s.labels, "hetzner-k3s/ca": OTHER_CA[:40]}),
        ),
        "record.conflict",
        "kubeconfig.other-cluster",
    ),
}

DELETION = {
    "a deletion, but the kubeconfig is another cluster's": case(
        kubeconfig(healthy(), OTHER_CA), "delete.other-cluster", intent=DELETE
    ),
    "a deletion, but the kubeconfig cannot be read": case(
        kubeconfig(healthy(), UNREADABLE), "delete.other-cluster", intent=DELETE
    ),
    "a deletion, but the listing is incomplete": case(unlistable(healthy()), "listing.incomplete", intent=DELETE),
    "a deletion, but two births are recorded": case(
        edit_server(healthy(), MASTER3, lambda s: replace(s, labels={**s.labels, "hetzner-k3s/seed": "9"})),
        "record.conflict",
        intent=DELETE,
    ),
}

ALL_LOST = {name: case(state, *codes, spec=spec, intent=intent) for name, (state, codes, spec, intent) in LOST.items()}

CASES = {
    **DISASTERS,
    **MASTERS,
    **ALL_LOST,
    **KEYS,
    **IDENTITY,
    **LISTING,
    **BIRTH,
    **MEMBERS,
    **WORKERS,
    **BEFORE_A_JOIN,
    **CONSENTS,
    **DELETION,
}
