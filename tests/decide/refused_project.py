"""What is refused about identity, the project, a birth and a deletion."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.cases import case
from tests.decide.oddities import (
    FOREIGN,
    NO_BIRTH,
    ONE,
    UNFINISHED,
    adopting,
    every_server_ready,
    introduced_by_2x,
    kubeconfig,
    named,
    of_2x,
    of_another_range,
    reset_on,
    with_rotated_ca,
)
from tests.decide.used_by_servers import CLAIMED_VOLUME, SERVICES_BALANCER
from tests.decide.world import (
    CLUSTER,
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
    PUBLIC_KEY,
    SPEC,
    WORKER1,
    born_record,
    edit_facts,
    edit_kube,
    edit_server,
    forgetful,
    healthy,
    joining,
    lose,
    nothing,
    off,
    other_identity,
    ready,
    recorded,
    replacement_of,
    unlistable,
    unreachable,
    with_listing,
    with_server,
)

from hetzner_k3s.model.consents import Consents, WithLoadBalancers, WithVolumes
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.hetzner.assortment import Assortment, ServerType
from hetzner_k3s.model.hetzner.belongings import Belongings
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.spec import NetworkSpec, SshSpec
from hetzner_k3s.model.state import UNREADABLE, LocalEvidence

NOTHING_SOLD = Assortment(
    server_types=(ServerType(id=1, name="cpx2", architecture="x86"),),
    locations={"fsn1": "eu-central", "hel1": "eu-central", "nbg1": "eu-central"},
    images={"ubuntu-24.04": frozenset({"arm"})},
)
IDENTITY = {
    "split by CA": case(other_identity(healthy(), MASTER3), "identity.split"),
    "the CA was rotated": case(with_rotated_ca(healthy(), *SPEC.master_names), "identity.other"),
    "the CA was rotated, and not every master was restarted": case(
        with_rotated_ca(healthy(), MASTER1), "identity.rotating"
    ),
    "the cluster is one of hetzner-k3s 2.x": case(introduced_by_2x(), "cluster.of-2x"),
    "a cluster of 2.x does not fit its file": case(of_another_range(introduced_by_2x()), "cluster.of-2x"),
    "a cluster of 2.x nobody of which votes": case(of_2x(), "cluster.of-2x"),
    "a cluster of ours is to be adopted": case(healthy(), "consent.unfit", intent=adopting()),
    "another CA is to be adopted": case(introduced_by_2x(), "consent.unfit", intent=adopting("00000000")),
    "split by UID alone": case(other_identity(healthy(), MASTER3, ca="ab12" * 16), "identity.split"),
    "all masters are of another cluster than the record": case(
        recorded(healthy(), replace(born_record(), ca=OTHER_CA[:40])),
        "identity.other",
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
    "Hetzner does not sell what the file asks for": case(
        replace(nothing(), assortment=Known(NOTHING_SOLD)), "order.impossible"
    ),
    "the network of a born cluster is gone": case(
        with_listing(healthy(), networks=()),
        "network.gone",
        "masters.none-healthy",
    ),
    "the file wants no private network, and the cluster has one": case(
        healthy(), "network.made-otherwise", spec=replace(SPEC, network=NetworkSpec(private=False))
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

OWN_CLOCK = {
    "this machine's clock is a day behind": case(
        replace(healthy(), cloud=Known(replace(healthy().view, ahead=86_400.0))), "clock.own"
    ),
    "this machine's clock is ten minutes ahead, before a birth": case(
        replace(nothing(), cloud=Known(replace(nothing().view, ahead=-600.0))), "clock.own"
    ),
    "this machine's clock is an hour behind those of all hosts, and Hetzner's answers have no date": case(
        replace(
            healthy(),
            hosts={
                number: Known(replace(reading.value, ahead=3600.0))
                for number, reading in healthy().hosts.items()
                if isinstance(reading, Known)
            },
        ),
        "clock.own",
    ),
}

BIRTH = {
    "the token is another project's and the kubeconfig is here": case(
        kubeconfig(nothing(), "ab12" * 16), "birth.kubeconfig"
    ),
    "the token is another project's and a file that cannot be read is here": case(
        kubeconfig(nothing(), UNREADABLE), "birth.kubeconfig"
    ),
    "the token is another project's and the journal remembers a bootstrap": case(
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
    "a mark of a reset lies on an empty master": case(
        edit_facts(every_server_ready(), MASTER1, lambda f: replace(f, held=True)), "birth.not-empty"
    ),
    "a mark of a reset lies on the empty seed of an unfinished birth": case(
        edit_facts(
            recorded(every_server_ready(), replace(NO_RECORD, phase=Phase.BOOTSTRAPPING, seed=FIRST_MASTER)),
            MASTER1,
            lambda f: replace(f, held=True),
        ),
        "cluster.unfinished",
    ),
    "the phase's label was lost, not the CA's": case(
        recorded(forgetful(NO_BIRTH), BirthRecord(ca="ab12" * 10)), "masters.all-lost"
    ),
}

_PROTECTED_NETWORK = with_listing(
    edit_server(healthy(), MASTER1, lambda s: replace(s, protected=True)),
    networks=tuple(replace(n, protected=True) for n in healthy().view.networks),
)

_STRANGER = replace(FOREIGN, name="db", private_ips={})

DELETION = {
    "a deletion, but a master and the network are protected": case(
        _PROTECTED_NETWORK, "delete.protected", intent=DELETE
    ),
    "a deletion asked for with --force, but the load balancer is protected": case(
        with_listing(
            healthy(), load_balancers=tuple(replace(b, protected=True) for b in healthy().view.load_balancers)
        ),
        "delete.protected",
        intent=replace(DELETE, unasked=True),
    ),
    "a deletion with its volumes and load balancers, but two of these are protected": case(
        with_listing(
            healthy(),
            load_balancers=(*healthy().view.load_balancers, replace(SERVICES_BALANCER, protected=True)),
            belongings=Belongings(volumes=(replace(CLAIMED_VOLUME, protected=True),)),
        ),
        "delete.protected",
        intent=replace(DELETE, consents=Consents.of(WithVolumes(), WithLoadBalancers())),
    ),
    "a deletion that was begun, but the last server is protected": case(
        edit_server(
            recorded(healthy(ONE), replace(born_record(), phase=Phase.DELETING)),
            MASTER1,
            lambda s: replace(s, protected=True),
        ),
        "delete.protected",
        spec=ONE,
        intent=DELETE,
    ),
    "a deletion that was begun with its volumes, but one of these is protected": case(
        with_listing(
            recorded(healthy(), replace(born_record(), phase=Phase.DELETING)),
            belongings=Belongings(volumes=(replace(CLAIMED_VOLUME, protected=True),)),
        ),
        "delete.protected",
        intent=replace(DELETE, consents=Consents.of(WithVolumes())),
    ),
    "a deletion that was begun, but the firewall is on somebody else's server": case(
        with_server(
            with_listing(
                recorded(healthy(), replace(born_record(), phase=Phase.DELETING)),
                firewalls=tuple(replace(f, servers=frozenset({101, _STRANGER.id})) for f in healthy().view.firewalls),
            ),
            _STRANGER,
        ),
        "delete.in-use",
        intent=DELETE,
    ),
    "a deletion, but the firewall is on somebody else's server": case(
        with_server(
            with_listing(
                healthy(),
                firewalls=tuple(replace(f, servers=frozenset({101, _STRANGER.id})) for f in healthy().view.firewalls),
            ),
            _STRANGER,
        ),
        "delete.in-use",
        intent=DELETE,
    ),
    "a deletion, but load balancer and placement group serve somebody else's server": case(
        with_server(
            with_listing(
                healthy(),
                placement_groups=tuple(
                    replace(g, servers=(101, _STRANGER.id)) for g in healthy().view.placement_groups[:1]
                ),
                load_balancers=tuple(
                    replace(b, servers=frozenset({_STRANGER.id})) for b in healthy().view.load_balancers
                ),
            ),
            _STRANGER,
        ),
        "delete.in-use",
        intent=DELETE,
    ),
    "a deletion, but something is protected and something is used by others": case(
        with_server(
            with_listing(
                _PROTECTED_NETWORK,
                firewalls=tuple(replace(f, servers=frozenset({_STRANGER.id})) for f in healthy().view.firewalls),
            ),
            _STRANGER,
        ),
        "delete.protected",
        "delete.in-use",
        intent=DELETE,
    ),
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
