"""A living cluster of 2.x as its hosts introduced it, and what an observation would be once it is adopted.

So every rule that judges an initialized cluster judges this one before a label of ours is written: whether its masters
are one cluster, whether the file fits it, and in what they differ.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TypeVar

from hetzner_k3s.decide.identity import made_by_2x
from hetzner_k3s.decide.view.context import DecisionContext, context_of
from hetzner_k3s.decide.view.control_plane import identity_of
from hetzner_k3s.decide.view.predictions import PREDICTED_LINEAGE, map_servers, with_shared_record
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import CloudView, Firewall, LoadBalancer, Network, Server
from hetzner_k3s.model.consents import Adopt
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.hosts.origin import Introduction
from hetzner_k3s.model.identity import BirthRecord, Identity, Phase
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.text.dates import date_of

_Surrounding = TypeVar("_Surrounding", Network, Firewall, LoadBalancer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduced:
    """A cluster of 2.x: its servers that answered, those that did not with the reason, and the record it would get.

    Without a master that is a voter and tells whose it is, there is no `identity`, and no record.
    """

    met: tuple[tuple[Server, Introduction], ...]
    silent: tuple[tuple[Server, str], ...]
    identity: Identity | None
    record: BirthRecord | None

    def of_role(self, role: str) -> tuple[tuple[Server, Introduction], ...]:
        """Return those that answered and are masters, or workers."""
        return tuple((server, met) for server, met in self.met if server.labels.get(naming.LABEL_ROLE) == role)

    @property
    def host_keys(self) -> tuple[tuple[int, str], ...]:
        """Return the host key, as its label value, by which each server answered."""
        return tuple((server.id, met.key) for server, met in self.met)


def introduced(context: DecisionContext) -> Introduced:
    """Return the cluster of 2.x that answers under the cluster's name."""
    seen = [(s, context.state.strangers.get(s.id)) for s in lookup.owned_servers(context.spec.name, context.view)]
    met = tuple((server, reading.value) for server, reading in seen if isinstance(reading, Known))
    silent = tuple((s, _why(reading)) for s, reading in seen if not isinstance(reading, Known))
    voting = [(s, i) for s, m in met if m.facts.voter and (i := identity_of(m.facts)) is not None]
    if not voting:
        return Introduced(met=met, silent=silent, identity=None, record=None)
    identity = Counter(i for _, i in voting).most_common(1)[0][0]
    record = _record(context, [(s, m) for s, m in met if identity_of(m.facts) == identity], identity)
    return Introduced(met=met, silent=silent, identity=identity, record=record)


def _why(reading: object) -> str:
    return reading.why if isinstance(reading, Unknown) else "it does not run"


def _record(context: DecisionContext, masters: list[tuple[Server, Introduction]], identity: Identity) -> BirthRecord:
    """Return what is recorded: the seed is the master whose unit says so, else the oldest; nothing depends on which."""
    first = min(masters, key=lambda one: (one[1].facts.disk.unit_flag != "--cluster-init", one[0].id))
    day = date_of(context.state.observed_at)
    return BirthRecord(
        phase=Phase.BORN,
        seed=first[0].id,
        ca=identity.ca[: naming.CA_LABEL_DIGITS],
        uid=identity.uid,
        agent=first[1].facts.disk.agent_token_hash,
        adopted=day.date().isoformat() if day is not None else "unknown",
    )


def adopted(context: DecisionContext) -> DecisionContext | None:
    """Return what a plan would be made from if the cluster were adopted; None where there is none to adopt."""
    found = introduced(context) if made_by_2x.is_of_2x(context) else None
    if found is None or found.record is None:
        return None
    given = context.intent.consents.without(*context.intent.consents.every(Adopt))
    intent: Intent = replace(context.intent, consents=given)
    state = as_adopted(context.spec, context.state, found.record, found.host_keys)
    return context_of(context.spec, state, intent, context.in_flight)


def as_adopted(
    spec: ClusterSpec, state: ClusterState, record: BirthRecord, host_keys: tuple[tuple[int, str], ...]
) -> ClusterState:
    """Return what would be observed of a cluster once it is adopted: its hosts as known ones, its record in place."""
    whole = record if record.lineage is not None else replace(record, lineage=PREDICTED_LINEAGE)
    keys = dict(host_keys)
    met = {number: m.value for number, m in state.strangers.items() if isinstance(m, Known) and number in keys}
    labelled = map_servers(state, lambda s: _labelled(s, keys, met, whole))
    surrounded = labelled.with_view(_surroundings(spec, labelled.view))
    hosts = {number: Known(replace(m.facts, key=HostKeyKind.FINAL)) for number, m in met.items()}
    left = {number: m for number, m in state.strangers.items() if number not in keys}
    known = replace(surrounded, hosts={**state.hosts, **hosts}, origins={}, strangers=left)
    return with_shared_record(spec, known, whole)


def _labelled(server: Server, keys: dict[int, str], met: dict[int, Introduction], record: BirthRecord) -> Server:
    if server.id not in keys:
        return server
    facts = met[server.id].facts if server.id in met else None
    return replace(server, labels={**server.labels, **labels_of(keys[server.id], facts, record)})


def labels_of(host_key: str, facts: HostFacts | None, record: BirthRecord) -> dict[str, str]:
    """Return the labels that an adopted server gets: its host key, the day, and as a voter that it is a member."""
    own = {naming.LABEL_HOST_KEY: host_key, naming.LABEL_ADOPTED: record.adopted or ""}
    if facts is None or not facts.voter:
        return own
    return {**own, **record.labels(), naming.LABEL_STATE: naming.STATE_MEMBER}


def _surroundings(spec: ClusterSpec, view: CloudView) -> CloudView:
    """Give network, firewall and load balancer the cluster's label, which 2.x leaves out."""

    def ours(one: _Surrounding, name: str | None) -> _Surrounding:
        return replace(one, labels={naming.LABEL_CLUSTER: spec.name, **one.labels}) if one.name == name else one

    network = None if spec.network.existing_network_name else spec.network_name
    return replace(
        view,
        networks=tuple(ours(n, network) for n in view.networks),
        firewalls=tuple(ours(f, naming.firewall(spec.name)) for f in view.firewalls),
        load_balancers=tuple(ours(b, naming.api_load_balancer(spec.name)) for b in view.load_balancers),
    )
