"""`ports.Local` in memory: what an operator's machine remembers, and what a run's death leaves there."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML

from hetzner_k3s.lab.k3s.trust.ca_bundle import ca_hash
from hetzner_k3s.lab.simulated.moments import Moments
from hetzner_k3s.model import naming
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import GivenFile
from hetzner_k3s.model.state import LocalEvidence, MergedKubeconfig, Rescue
from hetzner_k3s.model.tokens import ClusterTokens, agents_of, servers_of

_BIRTHS = ("birth opened", "birth closed")
_MOMENTOUS = (*_BIRTHS, "run began")
"""Lines that something depends on; the others only explain, so being killed beside one differs in nothing."""


@dataclass(slots=True)
class OperatorMachine:
    """A laptop: its kubeconfig, its journals, and which of the runs started on it still live."""

    name: str = "laptop"
    address: str = "203.0.113.77"
    """Where its packets come from, as servers see them."""
    knows_its_address: bool = False
    """Whether that is an address of its own, and not that of a router that it is behind."""
    kubeconfig: str | None = None
    own_kubeconfig: str | None = None
    """The one that its user's kubectl reads unasked."""
    births: list[str] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)
    """CA hashes of clusters that were deleted from here: a kubeconfig with one is no evidence (`delete --force`)."""
    journal: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    runs: dict[str, bool] = field(default_factory=dict)
    tokens: list[Secret] = field(default_factory=list)
    """The k3s tokens that its user hands to every run."""
    kept_tokens: list[ClusterTokens] = field(default_factory=list)
    """What `create` kept here, the newest first."""
    rescues: dict[Rescue, bytes] = field(default_factory=dict)
    known_hosts: dict[str, str] = field(default_factory=dict)
    """Its user's known_hosts: address -> label value of the host key."""
    snapshot: tuple[GivenFile, bytes] | None = None
    """The snapshot that its user names by a path, and what is in that file."""


@lru_cache(maxsize=64)
def _contexts(text: str, cluster: str) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    clusters = {entry["name"]: entry["cluster"] for entry in document["clusters"]}
    contexts = {entry["name"]: clusters[entry["context"]["cluster"]] for entry in document["contexts"]}
    pattern = naming.master_name_pattern(cluster)
    ours = {name: where for name, where in contexts.items() if name == cluster or pattern.fullmatch(name)}
    authorities = {base64.b64decode(where["certificate-authority-data"]) for where in ours.values()}
    hashes = sorted(map(ca_hash, authorities))
    return next(iter(hashes), None), tuple((name, where["server"]) for name, where in ours.items())


class SimulatedLocal:
    """`ports.Local` of one run on one machine.

    Args:
        machine: where it runs.
        cluster, run: of which cluster, and its id.
        moments: of the run.
    """

    def __init__(self, machine: OperatorMachine, cluster: str, run: str, moments: Moments) -> None:
        self._machine, self._cluster, self._run, self._moments = machine, cluster, run, moments

    def evidence(self) -> LocalEvidence:
        """Read what this machine remembers of the cluster."""
        self._moments.check()
        text = self._machine.kubeconfig
        ca, servers = _contexts(text, self._cluster) if text else (None, ())
        births = self._machine.births
        if ca in self._machine.given_up:
            ca, servers = None, ()
        return LocalEvidence(
            kubeconfig_ca=ca,
            kubeconfig_servers=dict(servers),
            open_birth=bool(births) and births[-1] != _BIRTHS[1],
            rescues=tuple(self._machine.rescues),
            kept=tuple(kept.held for kept in self._machine.kept_tokens),
            agent_hashes=tuple(agents_of(self._machine.tokens)),
            given_up=tuple(sorted(self._machine.given_up)),
            token_hashes=tuple(servers_of(self._machine.tokens)),
            snapshot=self._machine.snapshot[0] if self._machine.snapshot else None,
            public_address=self._machine.address if self._machine.knows_its_address else None,
        )

    async def snapshot(self) -> AsyncIterator[bytes]:
        """Read the snapshot file that the user named, in two pieces."""
        content = self._machine.snapshot[1] if self._machine.snapshot else b""
        for piece in (content[:100], content[100:]):
            self._moments.check()
            yield piece

    def token(self, token_hash: str) -> Secret | None:
        """Return the servers' token with this hash out of those that every run is handed, or earlier ones kept."""
        self._moments.check()
        kept = [kept.server for kept in self._machine.kept_tokens]
        return servers_of([*kept, *self._machine.tokens]).get(token_hash)

    def agent_token(self, token_hash: str) -> Secret | None:
        """Return the agents' token with this hash, likewise."""
        self._moments.check()
        kept = [kept.agent for kept in self._machine.kept_tokens if kept.agent is not None]
        return agents_of([*kept, *self._machine.tokens]).get(token_hash)

    def keep_tokens(self, tokens: ClusterTokens) -> str:
        """Keep a cluster's tokens."""
        self._moments.pass_by("before keep_tokens")
        others = [kept for kept in self._machine.kept_tokens if kept.held.server != tokens.held.server]
        self._machine.kept_tokens = [tokens, *others]
        self._moments.pass_by("after keep_tokens")
        return f"~/.local/state/hetzner-k3s/{self._cluster}/tokens"

    def known_hosts(self, address: str, _port: int) -> tuple[str, ...]:
        """Return what the user's known_hosts has for an address."""
        known = self._machine.known_hosts.get(address)
        return () if known is None else (known,)

    def write_kubeconfig(self, text: Secret) -> str | None:
        """Replace the kubeconfig."""
        self._moments.pass_by("before write_kubeconfig")
        self._machine.kubeconfig = text.reveal()
        self._moments.pass_by("after write_kubeconfig")
        return None

    def merge_kubeconfig(self, text: Secret) -> MergedKubeconfig:
        """Keep it beside the kubeconfig of the file: nobody's own file is touched for a simulated cluster."""
        self._moments.check()
        self._machine.own_kubeconfig = text.reveal()
        return MergedKubeconfig(path="~/.kube/config of the simulation", kept=None)

    def remove_kubeconfig(self) -> str | None:
        """Remove the kubeconfig if it is there."""
        self._moments.pass_by("before remove_kubeconfig")
        self._machine.kubeconfig = None
        self._moments.pass_by("after remove_kubeconfig")
        return None

    async def keep_rescue(self, rescue: Rescue, archive: AsyncIterator[bytes]) -> str:
        """Keep a copy of a host's data."""
        held = b"".join([piece async for piece in archive])
        self._moments.pass_by("before keep_rescue")
        self._machine.rescues[rescue] = held
        self._moments.pass_by("after keep_rescue")
        return f"~/.local/state/hetzner-k3s/{self._cluster}/rescue/{rescue.server}"

    def record(self, event: str, detail: Mapping[str, str]) -> None:
        """Append a line to the run journal."""
        self._moments.check()
        if event in _MOMENTOUS:
            self._moments.pass_by(f"before record '{event}'")
        self._machine.journal.append((event, dict(detail)))
        self._machine.runs.setdefault(self._run, True)
        if event in _BIRTHS:
            self._machine.births.append(event)
            self._machine.given_up |= {detail["ca"]} if "ca" in detail else set()
        if event in _MOMENTOUS:
            self._moments.pass_by(f"after record '{event}'")

    def run_is_dead(self, run: str) -> bool:
        """Check whether that run began here and lives no more."""
        return run != self._run and self._machine.runs.get(run) is False
