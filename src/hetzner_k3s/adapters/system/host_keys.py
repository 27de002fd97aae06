"""Makes SSH host keys."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hetzner_k3s.model.hosts.contact import HostKeyPair, host_key_label
from hetzner_k3s.model.secrets import Secret


class Ed25519HostKeys:
    """`ports.HostKeys`: ed25519, the one kind that we accept."""

    def generate(self) -> HostKeyPair:
        """Make a key pair."""
        private = Ed25519PrivateKey.generate()
        text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        blob = base64.b64decode(public.split()[1])
        return HostKeyPair(private_key=Secret(text), public_key=public, label=host_key_label(blob))
