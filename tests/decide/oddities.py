"""Small functions that each make something odd of an observation, for the states that are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from tests.decide.world import (
    CA,
    CLUSTER,
    CREATE,
    FIRST_MASTER,
    MASTER1,
    OTHER_CA,
    SPEC,
    a_spec,
    edit_etcd,
    edit_facts,
    edit_node,
    edit_server,
    forgetful,
    healthy,
    lose,
    member_id_of,
    not_ready,
    nothing,
    ready,
    recorded,
    replacement_of,
    server_id_of,
    server_of,
    stopped,
    surroundings,
    with_listing,
    with_server,
    without_quorum,
)

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import CloudView, Firewall, LoadBalancer, Network, Server, ServerStatus
from hetzner_k3s.model.consents import AcceptCa, Adopt, Consents, Replace
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import EtcdFacts, HostFacts, HostKeyKind, Member, SupervisorFacts, Unreachable
from hetzner_k3s.model.hosts.origin import Introduction, Origin
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState, LocalEvidence

_Surrounding = TypeVar("_Surrounding", Network, Firewall, LoadBalancer)

FIVE = a_spec(5, 0)
ONE = a_spec(1, 0)
MOVED_ON = (*FIVE.masters[:2], replace(FIVE.masters[2], name="prod-master6", index=6))
"""The masters of a file that wants a sixth and neither the third, nor the fourth, nor the fifth."""
NO_BIRTH = forgetful(with_listing(nothing(), **{f: getattr(surroundings(SPEC), f) for f in CloudView.__slots__}))
"""Everything but servers is there, and nobody remembers a bootstrap."""
UNFINISHED = recorded(NO_BIRTH, BirthRecord(phase=Phase.BOOTSTRAPPING, seed=FIRST_MASTER))
"""A birth was begun on server 101, which is not there any more."""
FOREIGN = Server(id=901, name=MASTER1, status=ServerStatus.RUNNING, public_ipv4="192.0.2.1")


def every_server_ready(spec: ClusterSpec = SPEC) -> ClusterState:
    """Give a project in which k3s can be started on every server, and nothing was initialized."""
    state = NO_BIRTH
    for server in spec.servers():
        state = ready(state, spec, server.name)
    return state


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


def replacing(*names: str) -> Intent:
    return replace(CREATE, consents=Consents.of(*map(Replace, names)))


def accepting(ca: str) -> Intent:
    return replace(CREATE, consents=Consents.of(AcceptCa(ca[:8])))


def with_ca(state: ClusterState, ca: str, *, masters: tuple[str, ...] = SPEC.master_names) -> ClusterState:
    """The CA was rotated: masters were restarted with the new one, workers and the kubeconfig here hold the old one."""
    for name in masters:
        state = edit_facts(state, name, lambda f: replace(f, disk=replace(f.disk, server_ca=ca)))
    return state


def with_rotated_ca(state: ClusterState, *masters: str) -> ClusterState:
    """The CA was rotated as k3s does it, and these masters were restarted: their bundle holds the one of before."""
    for name in masters:
        state = edit_facts(
            state, name, lambda f: replace(f, disk=replace(f.disk, server_ca=OTHER_CA, former_cas=("0" * 64, CA)))
        )
    return state


def pinning(state: ClusterState, name: str, ca: str, *, waiting: bool = False) -> ClusterState:
    """A worker's token pins this CA; where its agent waits for another one, its Node is NotReady."""

    def held(facts: HostFacts) -> HostFacts:
        unit = replace(facts.agent_unit, active="activating") if waiting else facts.agent_unit
        return replace(facts, disk=replace(facts.disk, config_token_ca=ca), agent_unit=unit)

    state = edit_facts(state, name, held)
    return not_ready(state, name) if waiting else state


FIRST_OF_2X = Origin(flag="--cluster-init", bare_token=True, runs=True)
OF_2X = (FIRST_OF_2X, *(replace(FIRST_OF_2X, flag="--server"),) * 2)


def of_2x(told: tuple[Origin, ...] = OF_2X) -> ClusterState:
    """Three masters as 2.x labels them: whose cluster, and that they are masters; nothing of ours."""
    state = NO_BIRTH
    for name in SPEC.master_names:
        labels = naming.server_labels(SPEC.name, naming.ROLE_MASTER)
        state = with_server(state, replace(server_of(SPEC, name), labels=labels))
    ids = [server.id for server in state.view.servers]
    return replace(state, origins={number: Known(origin) for number, origin in zip(ids, told, strict=False)})


def introduced_by_2x(spec: ClusterSpec = SPEC) -> ClusterState:
    """A healthy cluster that 2.x made: no label of ours, and every host introduced itself."""
    state = healthy(spec)
    plain = [replace(s, labels={k: v for k, v in s.labels.items() if k in _OF_2X}) for s in state.view.servers]
    bare = {kind: _bare(getattr(state.view, kind)) for kind in ("networks", "firewalls", "load_balancers")}
    groups = tuple(
        replace(g, labels={k: v for k, v in g.labels.items() if not k.startswith(naming.LABEL_PREFIX)})
        for g in state.view.placement_groups
    )
    met = {s.id: Introduction(key=f"key-of-{s.name}", facts=_by_flags(state, s)) for s in plain}
    names = {s.id for s in plain if s.name in spec.master_names}
    origins = {n: FIRST_OF_2X if n == FIRST_MASTER else replace(FIRST_OF_2X, flag="--server") for n in names}
    return replace(
        with_listing(forgetful(state), servers=tuple(plain), placement_groups=groups, **bare),
        hosts={number: Unreachable(SshStage.HOST_KEY, "its labels name no host key") for number in met},
        kube={},
        origins={number: Known(origin) for number, origin in origins.items()},
        strangers={number: Known(one) for number, one in met.items()},
    )


_OF_2X = (naming.LABEL_CLUSTER, naming.LABEL_ROLE)


def _bare(resources: tuple[_Surrounding, ...]) -> tuple[_Surrounding, ...]:
    return tuple(replace(one, labels={}) for one in resources)


def _by_flags(state: ClusterState, server: Server) -> HostFacts:
    facts = state.facts(server.id)
    assert facts is not None
    flag = {True: "--cluster-init", False: "--server"}[server.id == FIRST_MASTER] if facts.disk.wal else ""
    disk = replace(facts.disk, unit_flag=flag, config_present=False, config_token_hash=None, config_server=None)
    return replace(facts, key=HostKeyKind.BOOT, disk=disk)


def of_another_range(state: ClusterState) -> ClusterState:
    """The masters of a cluster of 2.x run with another range of Services than the file's."""

    def running(met: Introduction) -> Introduction:
        told = SupervisorFacts(critical={"service-cidr": "10.99.0.0/16"})
        return replace(met, facts=replace(met.facts, supervisor=told))

    for name in SPEC.master_names:
        state = met_otherwise(state, name, running)
    return state


def adopting(digits: str = CA[:8]) -> Intent:
    """The wish with the consent to adopt the cluster of these digits."""
    return replace(CREATE, consents=Consents.of(Adopt(digits)))


def met_otherwise(state: ClusterState, name: str, change: Callable[[Introduction], Introduction]) -> ClusterState:
    """One host of a cluster of 2.x introduces itself as another one."""
    number = server_id_of(name)
    reading = state.strangers[number]
    assert isinstance(reading, Known)
    return replace(state, strangers={**state.strangers, number: Known(change(reading.value))})


def encrypting(state: ClusterState, **stages: str) -> ClusterState:
    """The Nodes of masters tell how far the change of the keys of secrets is, by `master1=`…"""
    for master, stage in stages.items():
        state = edit_node(state, f"{CLUSTER}-{master}", lambda n, stage=stage: replace(n, encryption=stage))  # type: ignore[misc]
    return state
