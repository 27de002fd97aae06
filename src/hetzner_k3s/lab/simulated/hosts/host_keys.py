"""SSH host keys that repeat with the seed: `ports.HostKeys`."""

from __future__ import annotations

import base64

from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.model.hosts.contact import HostKeyPair, host_key_label
from hetzner_k3s.model.secrets import Secret


def label_of(public_key: str) -> str:
    """Return the label value of a public key line."""
    return host_key_label(base64.b64decode(public_key.split()[1]))


class SimulatedHostKeys:
    """Makes key pairs that open nothing outside the simulation."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def generate(self) -> HostKeyPair:
        """Make a pair."""
        blob = bytes.fromhex(self._chance.token_hex(32))
        public = f"ssh-ed25519 {base64.b64encode(blob).decode()} simulated"
        return HostKeyPair(
            private_key=Secret(f"private half of {blob.hex()}"), public_key=public, label=host_key_label(blob)
        )
