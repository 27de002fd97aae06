"""The operator's own machine: time, randomness, host keys, kubeconfig and run journal."""

from hetzner_k3s.adapters.system.bundle import BackupBundle
from hetzner_k3s.adapters.system.channel import DEFAULT_CHANNELS, K3sChannels
from hetzner_k3s.adapters.system.given import GivenSnapshot, read_given
from hetzner_k3s.adapters.system.host_keys import Ed25519HostKeys
from hetzner_k3s.adapters.system.open_files import allow_open_files
from hetzner_k3s.adapters.system.operator import OperatorMachine
from hetzner_k3s.adapters.system.own_address import public_address
from hetzner_k3s.adapters.system.sources import SystemClock, SystemRng

__all__ = [
    "DEFAULT_CHANNELS",
    "BackupBundle",
    "Ed25519HostKeys",
    "GivenSnapshot",
    "K3sChannels",
    "OperatorMachine",
    "SystemClock",
    "SystemRng",
    "allow_open_files",
    "public_address",
    "read_given",
]
