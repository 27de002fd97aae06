"""A small world that acts hold to: a project's placement groups and servers, and the hosts' SSH keys.

It keeps state and can be killed at any effect: `Killed` then ends the run, before or after the effect happened.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from hetzner_k3s.act.context import Context, HostKeyRing
from hetzner_k3s.model.cloud import CloudView, Network, PlacementGroup, Server
from hetzner_k3s.model.errors import CloudConflict, CloudRefused, CloudUnavailable, Fate, HostUnreachable, SshStage
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.hosts.contact import HostKeyPair, HostTarget
from hetzner_k3s.model.operations.configuration import RotateHostKey
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import Done
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.ports import Clock, Ports


class Killed(BaseException):
    """The run was ended by SIGKILL."""


@dataclass
class World:
    """What outlives a run. `kill_at` counts effects; odd moments lie before an effect, even ones after it."""

    groups: dict[int, PlacementGroup] = field(default_factory=dict)
    servers: dict[int, Server] = field(default_factory=dict)
    host_keys: dict[int, str] = field(default_factory=dict)
    dead_runs: set[str] = field(default_factory=set)
    group_limit: int = 50
    lose_next_answer: bool = False
    kill_at: int | None = None
    moments: int = 0
    renewals: int = 0
    """How often the labels of a placement group were replaced."""
    ids: Any = field(default_factory=lambda: itertools.count(1))
    pairs: Any = field(default_factory=lambda: itertools.count(1))

    def moment(self) -> None:
        """Pass a moment at which a run can be killed."""
        self.moments += 1
        if self.moments == self.kill_at:
            raise Killed

    # Cloud

    async def survey(self) -> CloudView:
        networks = (Network(id=1, name="c", ip_range="10.0.0.0/16"),)
        return CloudView(
            servers=tuple(self.servers.values()), networks=networks, placement_groups=tuple(self.groups.values())
        )

    async def create_placement_group(self, name: str, labels: Mapping[str, str]) -> PlacementGroup:
        if any(g.name == name for g in self.groups.values()):
            raise CloudConflict("name is already used", code="uniqueness_error", fate=Fate.DID_NOT_HAPPEN)
        if len(self.groups) >= self.group_limit:
            raise CloudRefused("limit", code="resource_limit_exceeded", fate=Fate.DID_NOT_HAPPEN)
        group = PlacementGroup(id=next(self.ids), name=name, labels=dict(labels))
        self.groups[group.id] = group
        if self.lose_next_answer:
            self.lose_next_answer = False
            raise CloudUnavailable("timeout", code="timeout", fate=Fate.MAY_HAVE_HAPPENED)
        return group

    async def placement_group(self, group_id: int) -> PlacementGroup | None:
        return self.groups.get(group_id)

    async def replace_labels(self, _kind: str, resource_id: int, labels: Mapping[str, str]) -> bool:
        self.renewals += 1
        if resource_id not in self.groups:
            return False
        self.groups[resource_id] = replace(self.groups[resource_id], labels=dict(labels))
        return True

    async def merge_labels(self, kind: str, resource_id: int, changes: Mapping[str, str | None]) -> dict[str, str]:
        self.moment()
        tables: dict[str, dict[int, Any]] = {"placement_group": self.groups, "server": self.servers}
        table = tables[kind]
        if resource_id not in table:
            raise CloudUnavailable("not found", code="not_found", fate=Fate.DID_NOT_HAPPEN)
        merged = {**table[resource_id].labels, **changes}
        labels = {k: v for k, v in merged.items() if v is not None}
        table[resource_id] = replace(table[resource_id], labels=labels)
        self.moment()
        return labels

    async def delete(self, _kind: str, resource_id: int) -> None:
        self.groups.pop(resource_id, None)

    # Hosts

    async def perform(self, target: HostTarget, operation: Any) -> Any:
        label = self.host_keys[target.server_id]
        if label not in target.keys:
            raise HostUnreachable("host key", server=target.name, stage=SshStage.HOST_KEY, fate=Fate.DID_NOT_HAPPEN)
        if isinstance(operation, Probe):
            return HostFacts(key=target.keys[label])
        assert isinstance(operation, RotateHostKey)
        self.moment()
        self.host_keys[target.server_id] = operation.public_key
        self.moment()
        return Done()

    # HostKeys and Local

    def generate(self) -> HostKeyPair:
        name = f"key{next(self.pairs)}"
        return HostKeyPair(private_key=Secret(f"private half of {name}"), public_key=name, label=name)

    def record(self, event: str, detail: Mapping[str, str]) -> None:
        pass

    def run_is_dead(self, run: str) -> bool:
        return run in self.dead_runs

    def ports(self, clock: Clock) -> Ports:
        """Give the world as the ports of one run."""
        me = cast(Any, self)
        return Ports(cloud=me, hosts=me, kube=me, local=me, host_keys=me, clock=clock, rng=me)

    async def context(self, spec: ClusterSpec, clock: Clock, key_ring: HostKeyRing) -> Context:
        """Look, and give what a handler is given."""
        state = ClusterState(observed_at=clock.now(), cloud=Known(await self.survey()))
        return Context(
            ports=self.ports(clock), spec=spec, state=state, fence=1, key_ring=key_ring, say=lambda _name, _what: None
        )
