"""What every rule is given, and the shapes of what rules answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from hetzner_k3s.decide.view.control_plane import ControlPlane, Gateway, view_of
from hetzner_k3s.decide.view.members import DeadMember, StrayMember, sort_members
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.model.cloud import CloudView, Server
from hetzner_k3s.model.consents import AcceptCa, Consents
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.plan import Intent, PlannedStep, Refusal, StepKey, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps.traits import TRAITS, Occupies


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionContext:
    """The wish, the observation, and what it means for the control plane; `in_flight` are the steps under way.

    `dead` are the dead members of masters that the file wants, `dead_beyond` those of masters that it does not.
    `servers` and `nodes` are keyed by name: a thousand workers look theirs up.
    """

    spec: ClusterSpec
    state: ClusterState
    intent: Intent
    control_plane: ControlPlane
    dead: tuple[DeadMember, ...]
    dead_beyond: tuple[DeadMember, ...]
    stray: tuple[StrayMember, ...]
    in_flight: frozenset[StepKey]
    servers: Mapping[str, Server]
    nodes: Mapping[str, KubeNode]

    @property
    def joining(self) -> frozenset[str]:
        """Name the servers whose join is under way: looks at them and at the cluster are of different moments."""
        return joining(self.in_flight)

    @property
    def worked_on(self) -> frozenset[str]:
        """Name the servers whose hosts a step under way works on: what they look like meanwhile is its doing."""
        return frozenset(key.target for key in self.in_flight if TRAITS[key.kind].occupies & Occupies.HOST)

    @property
    def consents(self) -> Consents:
        """Return what the user permitted."""
        return self.intent.consents

    @property
    def view(self) -> CloudView:
        """Return the listing."""
        return self.state.view

    def server(self, name: str) -> Server | None:
        """Find a server by name."""
        return self.servers.get(name)

    @property
    def replacing(self) -> bool:
        """Check whether a lost master's successor has yet to get its address.

        The lowest free one, so often the same.
        """
        lost = bool(self.dead) or any(stray.transient for stray in self.stray)
        return lost and any(m.server is None and m.name not in self.intent.unsold for m in self.control_plane.masters)

    @property
    def repairable(self) -> tuple[DeadMember, ...]:
        """Return the dead members that something can be done about: not those that wait for a server to be sold.

        One whose address another master's server has by now goes before that one joins: etcd takes an address once.
        """
        return tuple(lost for lost in self.dead if not self._waits_for_stock(lost) or self.address_is_taken(lost))

    def _waits_for_stock(self, lost: DeadMember) -> bool:
        return lost.master in self.intent.unsold and self.server(lost.master) is None

    def address_is_taken(self, lost: DeadMember) -> bool:
        """Check whether another master, ready to join, has the address of a dead member."""
        return any(
            self.control_plane.internal_ips.of(master.server) == lost.member.address
            for master in self.control_plane.masters
            if master.server is not None and master.name != lost.master and master.k3s is K3s.READY
        )

    def node(self, name: str) -> KubeNode | None:
        """Find a Node by name; None too where the API could not be read."""
        return self.nodes.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnservedContext(DecisionContext):
    """The same of a cluster that was initialized and that no healthy master serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingContext(DecisionContext):
    """The same of a cluster that was initialized and that a healthy master serves: everything is done through it."""

    gateway: Gateway

    @classmethod
    def of(cls, seen: DecisionContext, gateway: Gateway) -> ServingContext:
        """Return what was seen of a cluster that this master serves."""
        return cls(
            spec=seen.spec,
            state=seen.state,
            intent=seen.intent,
            control_plane=seen.control_plane,
            dead=seen.dead,
            dead_beyond=seen.dead_beyond,
            stray=seen.stray,
            in_flight=seen.in_flight,
            servers=seen.servers,
            nodes=seen.nodes,
            gateway=gateway,
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a move wants: steps that are safe now, and what it waits for.

    `alone` says that nothing else may be done meanwhile, in no scope.
    """

    steps: tuple[PlannedStep, ...] = ()
    waits: tuple[Wait, ...] = ()
    alone: bool = False


Given_contra = TypeVar("Given_contra", bound=DecisionContext, contravariant=True)
"""What a rule is given. One that takes any context may stand where only a `ServingContext` is given to others."""

GateOf = Callable[[Given_contra], tuple[Refusal, ...]]
MoveOf = Callable[[Given_contra], Proposal | None]
Gate = GateOf[DecisionContext]
Move = MoveOf[DecisionContext]
Note = Callable[[DecisionContext], tuple[str, ...]]
"""What a plan says beside its steps: one sentence each, without a full stop."""


def joining(in_flight: frozenset[StepKey]) -> frozenset[str]:
    """Name the servers whose join is among these steps."""
    return frozenset(key.target for key in in_flight if TRAITS[key.kind].joins)


def context_of(
    spec: ClusterSpec, state: ClusterState, intent: Intent, in_flight: frozenset[StepKey]
) -> DecisionContext:
    """Look once at an observation, for all rules; here alone is said whether the cluster is served."""
    control_plane = view_of(spec, state, intent.consents.get(AcceptCa))
    dead, stray = sort_members(control_plane, state, joining(in_flight))
    born, gateway = control_plane.record.phase is Phase.BORN, control_plane.gateway
    seen = (UnservedContext if born and gateway is None else DecisionContext)(
        spec=spec,
        state=state,
        intent=intent,
        control_plane=control_plane,
        dead=tuple(d for d in dead if not d.master or control_plane.master(d.master)),
        dead_beyond=tuple(d for d in dead if d.master and not control_plane.master(d.master)),
        stray=stray,
        in_flight=in_flight,
        servers={server.name: server for server in state.view.servers},
        nodes={node.name: node for node in control_plane.kube.nodes} if control_plane.kube else {},
    )
    return ServingContext.of(seen, gateway) if born and gateway is not None else seen
