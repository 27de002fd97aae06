"""The cluster's token after it was rotated or handed out bare.

See docs/facts/k3s.md#token-rotation.

A master whose `config.yaml` holds a token that the datastore does not know runs well until its next start, which fails.
So the file is rewritten, and what runs is left running. A running k3s accepts the token it was started with: after a
rotation nothing can join before one master was restarted, which is for its owner to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView, accepts_joins, current_token
from hetzner_k3s.decide.view.pending_joins import something_due
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import DiskFacts, HostFacts, UnitFacts
from hetzner_k3s.model.operations.looks import SecretKind
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import RenewToken, Step


def joins_are_accepted(context: ServingContext) -> tuple[Refusal, ...]:
    """Refuse to prepare a join that no master would accept, before anything is removed for it."""
    told = _told_keys(context)
    if not told or not something_due(context):
        return ()
    if len(told) > 1:
        return (_rotating(told),)
    if _holder(context) is None:
        return (_nobody_holds_it(context, told[0]),)
    if _outdated(context) or any(accepts_joins(facts) for facts in _voters(context)):
        return ()
    return (_nobody_accepts_it(context),)


def _told_keys(context: ServingContext) -> tuple[str, ...]:
    """Return the hashes of the tokens that the gateway's datastore knows."""
    return context.gateway.facts.bootstrap_keys


def _voters(context: DecisionContext) -> list[HostFacts]:
    return [m.facts for m in context.control_plane.all_masters if m.facts and m.serves]


def _rotating(keys: tuple[str, ...]) -> Refusal:
    return Refusal(
        code="token.rotating",
        saw=f"The datastore knows {len(keys)} tokens (their hashes begin {', '.join(sorted(keys))}): a rotation of the "
        "token is under way.",
        why="Which of them will be the cluster's is not decided yet, and whoever joins must hold that one.",
        you_can="Wait until `k3s token rotate` has ended, and run `create` again.",
        transient=True,
    )


def _nobody_holds_it(context: ServingContext, key: str) -> Refusal:
    return Refusal(
        code="token.unknown",
        saw=f"The datastore is sealed with a token whose hash begins {key}, and no master that answers holds that one.",
        why="It was rotated, and nothing can join with an earlier one.",
        you_can=f"Write the new token into the line `token:` of /etc/rancher/k3s/config.yaml on "
        f"{context.gateway.server.name}; whoever ran `k3s token rotate` has it. Then run `create` again.",
    )


def _nobody_accepts_it(context: DecisionContext) -> Refusal:
    voting = [m.name for m in context.control_plane.all_masters if m.serves]
    return Refusal(
        code="token.not-accepted",
        saw=f"The token was rotated, and something has yet to join; but k3s on {', '.join(voting)} still runs with the "
        "token from before.",
        why="k3s takes another token at its start only, and one that is healthy is not restarted for another's sake.",
        you_can=f"Restart it on one master (`systemctl restart k3s` on {voting[0]}, whose config.yaml holds the new "
        "token now), and run `create` again.",
        ways=(Way(starts=frozenset(voting[:1])),),
    )


def differing(masters: Iterable[MasterView]) -> str | None:
    """Tell of a rotation that not every master knows of: with no datastore to ask, files of several tokens show it."""
    held: dict[str, set[str]] = {}
    for master in masters:
        disk = master.facts.disk if master.facts else DiskFacts()
        for token in filter(None, (disk.token_hash, disk.config_token_hash)):
            held.setdefault(token, set()).add(master.name)
    if len(held) < 2:
        return None
    told = "; ".join(f"{token} on {', '.join(sorted(names))}" for token, names in sorted(held.items()))
    return (
        f"Their files hold {len(held)} tokens (their hashes begin {told}): the token was rotated, and k3s does not "
        "start with an earlier one than its data are sealed with"
    )


def renew_tokens(context: ServingContext) -> Proposal | None:
    """Write the current token wherever a master would not start with the one it holds; nothing else comes before."""
    steps = _renewals(context, _outdated(context), _ROTATED)
    return Proposal(steps) if steps else None


def pin_tokens(context: ServingContext) -> Proposal | None:
    """Complete a current token that does not pin the CA: who loses its disk must not take any CA on trust."""
    steps = _renewals(context, [m for m in context.control_plane.all_masters if _is_loose(m)], _BARE)
    return Proposal(steps) if steps else None


_ROTATED = "its config.yaml holds a token that the datastore does not know, so it would not start again"
_BARE = "the token in its config.yaml does not pin the cluster's CA"


def _outdated(context: ServingContext) -> list[MasterView]:
    """Return the masters that would not start, or do not, with the token they hold; none while nobody has another."""
    if _holder(context) is None:
        return []
    key = _told_keys(context)[0]
    masters = [m for m in context.control_plane.all_masters if m.facts and not m.facts.disk.server_by_flags]
    return [m for m in masters if m.k3s is K3s.LOCKED_OUT or _is_stale(m, key)]


def _is_stale(master: MasterView, key: str) -> bool:
    facts = master.facts
    return facts is not None and master.serves and facts.disk.config_token_hash not in {None, key}


def _is_loose(master: MasterView) -> bool:
    facts = master.facts
    if facts is None or not master.is_member or facts.disk.config_token_hash is None:
        return False
    current = facts.disk.config_token_hash == current_token(facts)
    return current and facts.disk.config_token_ca != facts.disk.server_ca


def _holder(context: ServingContext) -> tuple[Server, SecretKind] | None:
    """Find a healthy master that holds the one current token, in the file of the running k3s or in its config.yaml."""
    keys = _told_keys(context)
    if len(keys) != 1:
        return None
    masters = [context.gateway, *(m for m in context.control_plane.all_masters if m.serves)]
    told = [(m.server, m.facts.disk) for m in masters if m.server and m.facts]
    holding = [(server, SecretKind.TOKEN) for server, disk in told if disk.token_hash == keys[0]]
    holding += [(server, SecretKind.CONFIG_TOKEN) for server, disk in told if disk.config_token_hash == keys[0]]
    return next(iter(holding), None)


def _renewals(context: ServingContext, masters: list[MasterView], because: str) -> tuple[PlannedStep, ...]:
    holder = _holder(context)
    if holder is None:
        return ()
    return tuple(_renewal(m, m.server, holder, because) for m in masters if m.server is not None)


def _renewal(master: MasterView, server: Server, holder: tuple[Server, SecretKind], because: str) -> PlannedStep:
    via, kind = holder
    revive = master.k3s is K3s.LOCKED_OUT
    return PlannedStep(
        step=RenewToken(target=master.name, server_id=server.id, via=via.id, kind=kind, revive=revive),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.DIFFERS,
        because=_KEPT_OUT if revive else because,
    )


_KEPT_OUT = "the token was rotated, and its k3s ends at each start with an earlier one"


def token_notes(context: DecisionContext) -> tuple[str, ...]:
    """Tell of a token that nobody holds, and of workers whose token is an earlier one."""
    keys = _told_keys(context) if isinstance(context, ServingContext) else ()
    if not isinstance(context, ServingContext) or len(keys) != 1:
        return ()
    if _holder(context) is None:
        return (f"no master holds the token that the datastore knows (hash {keys[0]}): none would start again",)
    return tuple(_masters_by_flags(context, keys[0])) + tuple(
        f"{worker.name} holds an earlier token of the cluster in its configuration: its k3s would not start again"
        for worker in context.spec.workers()
        if (server := context.server(worker.name)) is not None
        and (facts := context.state.facts(server.id)) is not None
        and facts.disk.config_token_hash not in {None, keys[0], _agents_hash(context)}
    )


def _masters_by_flags(context: ServingContext, key: str) -> Iterator[str]:
    """Tell of masters of 2.x whose unit starts them with an earlier token: what is beside their units is left alone."""
    for master in context.control_plane.all_masters:
        held = master.facts.disk.environment_token_hash if master.facts else None
        if master.facts is not None and master.facts.disk.server_by_flags and held not in {None, key}:
            yield (
                f"{master.name} holds an earlier token in k3s.service.env: its k3s would not start again; write the "
                "present one there"
            )


def _agents_hash(context: ServingContext) -> str | None:
    return context.gateway.facts.disk.agent_token_hash


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a master was given the current token."""
    if not isinstance(step, RenewToken):
        return state
    healthy = state.facts(step.via)
    key = current_token(healthy) if healthy else None

    def renewed(facts: HostFacts) -> HostFacts:
        disk = replace(facts.disk, config_token_hash=key, config_token_ca=facts.disk.server_ca)
        return replace(facts, disk=disk)

    written = predictions.with_facts(state, step.server_id, renewed)
    return _revived(written, step, healthy) if step.revive and healthy else written


def _revived(state: ClusterState, step: RenewToken, healthy: HostFacts) -> ClusterState:
    """Let a master that could not start vote again."""
    own = next((m for m in healthy.etcd.members or () if m.node == step.target), None)
    etcd = replace(healthy.etcd, member_id=own.id if own else None, active_peers=())

    def started(facts: HostFacts) -> HostFacts:
        disk = replace(facts.disk, token_hash=current_token(healthy), passwd_hash=current_token(healthy))
        return replace(facts, server_unit=UnitFacts(active="active"), disk=disk, etcd=etcd)

    voting = predictions.with_facts(state, step.server_id, started)
    return predictions.map_kube(voting, lambda kube: predictions.with_ready_node(kube, step.target))
