"""`Adopt`: a cluster of hetzner-k3s 2.x is recorded, and nothing else is done in that run.

See docs/architecture.md#adoption.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hetzner_k3s.decide.adopt.introduced import Introduced, adopted, as_adopted, introduced
from hetzner_k3s.decide.identity import hosts, made_by_2x, project
from hetzner_k3s.decide.lifecycle.workers import view_worker
from hetzner_k3s.decide.preflight import critical_config
from hetzner_k3s.decide.rollout import selection as rollout
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Gate, Proposal
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import Adopt
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hosts.contact import fingerprint_of
from hetzner_k3s.model.hosts.origin import Introduction
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.report import CLUSTER_OF_2X
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import AdoptCluster, Step
from hetzner_k3s.model.text.wording import listed

_NAMED: Final = 6
_JUDGES: tuple[Gate, ...] = (hosts.one_identity, hosts.one_member_list)
"""What forbids to take what answers for one cluster; asked as if it were adopted already."""


def adopted_or_refused(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse to touch a cluster of 2.x, unless its owner said that it be adopted and it can be."""
    found, given = introduced(context), context.consents.get(Adopt)
    obstacles = list(_obstacles(context, found))
    if obstacles:
        return (_not_adoptable(context, found, obstacles),)
    ca = found.identity.ca if found.identity is not None else ""
    if given is None:
        return (_proposal(context, found, ca),)
    return () if ca.startswith(given.named) else (_another_ca(given, ca),)


def _obstacles(context: DecisionContext, found: Introduced) -> Iterator[str]:
    """Say why a cluster cannot be adopted, each as a clause."""
    if context.spec.database is not None:
        yield "the file names an external datastore, and clusters on one are not adopted yet"
    yield from (_other_key(server, met) for server, met in found.met if met.contradicted)
    if len({met.facts.disk.server_ca for _, met in found.of_role(naming.ROLE_MASTER)} - {None}) > 1:
        yield f"its masters hold different CAs: {_identities(found)}"
    seen = adopted(context)
    if seen is None:
        yield "no master answers as a voter that sees a leader, so whose cluster it is cannot be told"
        return
    if seen.control_plane.gateway is None:
        yield "no master of it serves"
    if others := project.masters_of_other_names(seen):
        yield f"it has masters that the file does not name: {', '.join(server.name for server in others)}"
    yield from (refusal.saw.rstrip(".") for gate in _JUDGES for refusal in gate(seen))
    for one in critical_config.cannot_change(seen):
        yield f"{one.field} is {one.seen} there and {one.wanted} in the file, and no master could join with that"


def _other_key(server: Server, met: Introduction) -> str:
    known = ", ".join(map(fingerprint_of, met.known))
    return f"{server.name} answers with host key {fingerprint_of(met.key)}, and your known_hosts knows it by {known}"


def _identities(found: Introduced) -> str:
    told = ((s.name, met.facts.disk.server_ca) for s, met in found.of_role(naming.ROLE_MASTER))
    return ", ".join(f"{name} {ca[:8]}" for name, ca in told if ca is not None)


def _not_adoptable(context: DecisionContext, found: Introduced, obstacles: list[str]) -> Refusal:
    return Refusal(
        code=CLUSTER_OF_2X,
        saw=f"{_what_it_is(context, found)} It cannot be adopted as it is: {'; '.join(obstacles)}.",
        why="What is recorded must be true of every master, and the file must fit it: a repair would else make another "
        "cluster, or none. Nothing was changed.",
        you_can="Put that right, and run `create` again; until then go on managing it with hetzner-k3s 2.x, and delete "
        "none of its servers. For a new cluster choose another cluster_name.",
        transient=found.identity is None,  # an election may be under way
    )


def _proposal(context: DecisionContext, found: Introduced, ca: str) -> Refusal:
    consent = Adopt(ca[:8])
    return Refusal(
        code=CLUSTER_OF_2X,
        saw=_what_it_is(context, found),
        why=f"It was not adopted yet, so nothing was changed. Adopting it records CA {ca[:8]} and these host keys in "
        "labels of its servers, network, firewall and placement group, and its lineage in the ConfigMap "
        "kube-system/hetzner-k3s: nothing is restarted, no file on a host is written, and nothing else is done in that "
        "run.",
        you_can=f"If it is yours and these are its host keys, adopt it: `create {consent}`. Else go on managing it "
        "with hetzner-k3s 2.x, and delete none of its servers; for a new cluster choose another cluster_name.",
        ways=(Way(consent=consent),),
    )


def _what_it_is(context: DecisionContext, found: Introduced) -> str:
    identity = found.identity
    whose = f" with CA {identity.ca[:8]} and kube-system UID {identity.uid}" if identity is not None else ""
    masters, workers = found.of_role(naming.ROLE_MASTER), found.of_role(naming.ROLE_WORKER)
    recognised = made_by_2x.masters_of_2x(context, but=frozenset(server.id for server, _ in masters))
    told = [f"'{context.spec.name}' is a cluster that hetzner-k3s 2.x made{whose}."]
    told += [f"{'; '.join(recognised)}."] if recognised else []
    told += [f"Masters: {'; '.join(map(_shown, masters))}."] if masters else []
    told += [f"Workers: {'; '.join(map(_shown, workers))}."] if workers else []
    told += [f"Not reached: {'; '.join(f'{s.name} ({why})' for s, why in found.silent)}."] if found.silent else []
    return " ".join(told)


def _shown(one: tuple[Server, Introduction]) -> str:
    server, met = one
    known = ", as your known_hosts has it" if met.known and not met.contradicted else ""
    started = f"{met.facts.disk.unit_flag} in its unit, " if met.facts.disk.unit_flag else ""
    return f"{server.name} ({whereabouts(server)}), {started}host key {fingerprint_of(met.key)}{known}"


def _another_ca(given: Adopt, ca: str) -> Refusal:
    return unfit(
        given,
        f"What answers has CA {ca[:8]}.",
        "Look whose cluster it is: `plan` shows it, and the flag with which it is adopted.",
    )


def adopt(context: DecisionContext) -> Proposal | None:
    """Plan the adoption; nothing else is done beside it."""
    found, given = introduced(context), context.consents.get(Adopt)
    if given is None or found.record is None:
        return None
    return _planned(context, found, found.record, given, "its owner says that this is the cluster with that CA")


def is_ending(context: DecisionContext) -> bool:
    """Check whether the cluster that this run was to adopt is recorded by now."""
    record = context.control_plane.record
    return record.phase is Phase.BORN and record.adopted is not None and context.consents.get(Adopt) is not None


def adoption_fits(context: DecisionContext, given: Adopt) -> tuple[Refusal, ...]:
    """Refuse the consent where there is nothing to adopt, or another cluster was adopted than it names."""
    if is_ending(context):
        ca = context.control_plane.record.ca or ""
        return () if ca.startswith(given.named) else (_another_ca(given, ca),)
    return (
        unfit(
            given,
            "No living cluster of hetzner-k3s 2.x was found under this name.",
            "Check the Hetzner token and cluster_name; run `create` without that flag for one of this tool.",
        ),
    )


def adopt_rest(context: DecisionContext) -> Proposal | None:
    """Plan to record the host keys of servers that did not answer when their cluster was adopted."""
    given, gateway = context.consents.get(Adopt), context.control_plane.gateway
    if given is None or gateway is None:
        return None
    found = introduced(context)
    ours = tuple(
        (s, met) for s, met in found.met if met.facts.disk.trusts(gateway.facts.disk) or _is_member(met, context)
    )
    if not ours:
        return None
    left = Introduced(met=ours, silent=found.silent, identity=found.identity, record=None)
    because = "they did not answer when the cluster was adopted, and hold its CA"
    return _planned(context, left, context.control_plane.record, given, because)


def _is_member(met: Introduction, context: DecisionContext) -> bool:
    return met.facts.disk.knows_ca(context.control_plane.record.ca)


def _planned(context: DecisionContext, found: Introduced, record: BirthRecord, given: Adopt, because: str) -> Proposal:
    gateway = context.control_plane.gateway
    via = gateway.server.id if gateway is not None else record.seed
    step = AdoptCluster(target=context.spec.name, record=record, host_keys=found.host_keys, via=via or 0)
    planned = PlannedStep(
        step=step, scope=Scope.CONTROL_PLANE, reason=Reason.UNFINISHED, because=because, consent=given
    )
    return Proposal((planned,), alone=True)


def notes(context: DecisionContext) -> tuple[str, ...]:
    """Say that a run which adopts does nothing else, and of an adopted cluster which hosts have yet to be recorded."""
    adopts = context.consents.get(Adopt) is not None and (is_ending(context) or made_by_2x.is_of_2x(context))
    return ((_ONLY_THAT,) if adopts else ()) + tuple(_left_out(context))


_ONLY_THAT = "this run adopts the cluster and changes nothing else of it; `create` without the flag does what is left"


def differences(context: DecisionContext) -> tuple[Difference, ...]:
    """Return where the world is not as the file says; a cluster of 2.x is compared as it will be once it is adopted."""
    return rollout.told(adopted(context) or context)


def left_to_do(context: DecisionContext) -> tuple[str, ...]:
    """Name what an adopted cluster lacks, in the run that adopts it and brings nothing right."""
    if not is_ending(context):
        return ()
    views = [*context.control_plane.masters, *(view_worker(context, spec) for spec in context.spec.workers())]
    lacking = [f"{view.name} ({view.condition})" for view in views if not view.serves]
    lacking += [f"{d.subject} ({d.field})" for d in differences(context) if d.remedy is Remedy.APPLY]
    return (f"not as the file wants them: {listed(lacking, _NAMED)}",) if lacking else ()


def _left_out(context: DecisionContext) -> Iterator[str]:
    record = context.control_plane.record
    if record.phase is not Phase.BORN or record.adopted is None or not context.state.strangers:
        return
    names = ", ".join(s.name for s in context.view.servers if isinstance(context.state.strangers.get(s.id), Known))
    if names and record.ca:
        yield (
            f"the host key of {names} was not recorded when the cluster was adopted, so nothing is done there; "
            f"`create {Adopt(record.ca[:8])}` records it"
        )


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a cluster was adopted."""
    if not isinstance(step, AdoptCluster):
        return state
    return as_adopted(spec, state, step.record, step.host_keys)
