"""What is refused about masters, members and workers: silent ones, former ones, and what is beyond the file."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.cases import case
from tests.decide.oddities import (
    FIVE,
    FOREIGN,
    MOVED_ON,
    ONE,
    UNFINISHED,
    alarmed,
    all_lost,
    fresh,
    fresh_by_hand,
    named,
    not_listening,
    stray,
)
from tests.decide.world import (
    CA,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NETWORK,
    NOW,
    PRUNE,
    SPEC,
    WORKER1,
    a_spec,
    disconnected,
    edit_etcd,
    edit_facts,
    edit_node,
    edit_server,
    healthy,
    joining,
    lose,
    member_id_of,
    not_ready,
    off,
    ready,
    rebuilt,
    stopped,
    tombstoned,
    unreachable,
    with_server,
    without_member,
    without_node,
    without_quorum,
)

from hetzner_k3s.model.cloud import ServerStatus
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import Member

GARBAGE = "it lets this machine in, but Probe failed: unreadable answer: it is no JSON: 'Welcome to prod'"

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
    "the last master left does not answer": case(
        unreachable(lose(lose(healthy(), MASTER1), MASTER2), MASTER3), "masters.none-healthy"
    ),
    "the last master left was removed from the cluster": case(
        tombstoned(lose(lose(healthy(), MASTER1), MASTER3), MASTER2), "masters.none-healthy"
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
    "a master answers with what nobody can read": case(
        disconnected(unreachable(healthy(), MASTER2, SshStage.ANSWER, GARBAGE), 102), "master.unreachable"
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
    "a worker answers with what nobody can read": case(
        unreachable(healthy(), WORKER1, SshStage.ANSWER, GARBAGE), "worker.unreachable"
    ),
    "a worker answers with another host key": case(
        unreachable(healthy(), WORKER1, SshStage.HOST_KEY, "it showed the key zzzz"), "worker.key-changed"
    ),
    "a worker refuses our key": case(unreachable(healthy(), WORKER1, SshStage.AUTH, "denied"), "worker.denied"),
    "a worker was rebuilt": case(rebuilt(healthy(), WORKER1), "worker.rebuilt"),
    "a worker's Node is NotReady": case(not_ready(healthy(), WORKER1), "worker.not-ready"),
}
