"""A file of CA certificates as k3s takes it: the hash in its tokens, and whom the holder of an older file trusts.

docs/facts/k3s.md#ca-hash and recordings second/10-14: after `certificate rotate-ca` the file has several certificates.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

_BEGIN = b"-----BEGIN CERTIFICATE-----"


def certificates(cacerts: bytes) -> list[x509.Certificate]:
    """Read a CA file."""
    return x509.load_pem_x509_certificates(cacerts)


@lru_cache(maxsize=512)
def ca_hash(cacerts: bytes) -> str:
    """Hash a CA file: its bytes, or of a bundle the DER of the root that its first certificate is verified by."""
    root = _verifying_root(certificates(cacerts)) if cacerts.count(_BEGIN) > 1 else None
    return hashlib.sha256(cacerts if root is None else root.public_bytes(Encoding.DER)).hexdigest()


@lru_cache(maxsize=512)
def earlier(cacerts: bytes) -> tuple[str, ...]:
    """Return the hashes by which the CAs in a bundle were known while each was the cluster's own."""
    if cacerts.count(_BEGIN) < 2:
        return ()
    forms = [one.public_bytes(form) for one in certificates(cacerts)[1:] for form in (Encoding.PEM, Encoding.DER)]
    return tuple(sorted({hashlib.sha256(form).hexdigest() for form in forms} - {ca_hash(cacerts)}))


@lru_cache(maxsize=512)
def trusts(held: bytes, served: bytes) -> bool:
    """Check whether who holds one CA file accepts what the owner of another signs: they share a certificate."""
    if held == served:
        return True
    return held.count(_BEGIN) + served.count(_BEGIN) > 2 and not set(certificates(held)).isdisjoint(
        certificates(served)
    )


def _verifying_root(bundle: list[x509.Certificate]) -> x509.Certificate | None:
    """Search the signers of the first certificate, nearest first, for one that is a root."""
    roots = [one for one in bundle[1:] if _signer_key(one) in {None, _key(one)}]
    reached = [bundle[0]]
    for one in reached:
        for root in roots:
            if _signed_by(one, root):
                return root
        reached += [
            other for other in bundle[1:] if other not in roots and other not in reached and _signed_by(one, other)
        ]
    return None


def _key(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _signer_key(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def _signed_by(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
