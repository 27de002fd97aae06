"""What is read off a host: facts, secrets, log lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.operations.operation import K3sRole, Operation
from hetzner_k3s.model.secrets import Secret


class SecretKind(Enum):
    """What can be read off a verified host.

    TOKEN and AGENT_TOKEN are the full K10 tokens that a master wrote: the servers' own, and the one that agents join
    with, which is the same where the cluster has no agent token. CONFIG_TOKEN and CONFIG_AGENT_TOKEN are what a
    `config.yaml` holds (a bare password where a birth was cut off before k3s wrote the full one).
    """

    TOKEN = "token"
    AGENT_TOKEN = "agent-token"
    CONFIG_TOKEN = "config-token"
    CONFIG_AGENT_TOKEN = "config-agent-token"
    KUBECONFIG = "kubeconfig"


@dataclass(frozen=True, slots=True)
class Probe(Operation[HostFacts]):
    """Look at a host: one round trip, one JSON document."""

    boot_key_suffices: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSecret(Operation[Secret]):
    """Read a secret of a host; `OperationFailed` where there is none."""

    kind: SecretKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadJournal(Operation[str]):
    """Read the last log lines of k3s."""

    role: K3sRole
    lines: int
