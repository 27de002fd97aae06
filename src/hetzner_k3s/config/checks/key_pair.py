"""Do the two files of an SSH key belong together, and can the private one be used without a passphrase?

A pair that does not match is found out only by the first server, which then lets nobody in: it was bought for nothing.
"""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 64 * 1024


def problem(private: bytes, public_line: str) -> str | None:
    """Return what is wrong with a private key beside its public one; None where it is right, or of a kind unknown here.

    What cannot be read is not judged: keys on hardware and new kinds are the SSH library's matter.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if private.startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return "is a public key: expected the private one"
    try:
        own = _load(private).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    except TypeError:
        return "is protected by a passphrase: load it into the SSH agent and set networking.ssh.use_agent: true"
    except (ValueError, UnsupportedAlgorithm):
        return None
    if public_line and own.decode().split()[1] != public_line.split()[1]:
        return "does not belong to the public key: servers would take that one and let nobody in"
    return None


def _load(private: bytes):  # type: ignore[no-untyped-def]
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    if b"OPENSSH PRIVATE KEY" in private[:100]:
        return load_ssh_private_key(private, None)
    return load_pem_private_key(private, None)
