"""The identity that a file of CA certificates has for k3s, and which CAs it continues.

See docs/facts/k3s.md#ca-hash.

After `k3s certificate rotate-ca` the file is a bundle: the new intermediate, the new root, that root cross-signed by
the CA of before, and the CA of before. Pure.
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

MOST_CERTIFICATES = 16
"""Certificates that are read of one file; k3s' own script adds three with each rotation."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----[ \t\r]*\n?")
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_UNUSABLE = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.DuplicateExtension)


def ca_hash(content: bytes) -> str:
    """Return the CA hash that k3s puts into a token for this file: `K10<hash>::…`.

    One certificate: sha256 of the file's bytes. Several: sha256 of the DER of the root that the first one is verified
    by; of the file's bytes again where it is verified by none of them.
    """
    root = _root_of(_certificates(content))
    return hashlib.sha256(root.public_bytes(Encoding.DER) if root else content).hexdigest()


def former_hashes(content: bytes) -> tuple[str, ...]:
    """Return the hashes of the CAs that a bundle continues: whoever holds one of these trusts what the bundle signs.

    Each may have been the cluster's as a file of one certificate, as the root of a chain, or as an earlier bundle
    whole, which k3s' script appends to the new one.
    """
    found = list(_PEM.finditer(content))[:MOST_CERTIFICATES]
    if len(found) < 2:
        return ()
    hashes = {hashlib.sha256(content[match.start() :]).hexdigest() for match in found[1:]}
    for certificate in _certificates(content)[1:]:
        forms = (certificate.public_bytes(Encoding.PEM), certificate.public_bytes(Encoding.DER))
        hashes |= {hashlib.sha256(form).hexdigest() for form in forms}
    return tuple(sorted(hashes - {ca_hash(content)}))


def _certificates(content: bytes) -> list[x509.Certificate]:
    """Read the certificates of a file, none where one of them cannot be read."""
    try:
        return [x509.load_pem_x509_certificate(m[0]) for m in list(_PEM.finditer(content))[:MOST_CERTIFICATES]]
    except _UNUSABLE:
        return []


def _root_of(certificates: list[x509.Certificate]) -> x509.Certificate | None:
    """Find the last certificate of the chain that begins with the first one, as Go's verification does."""
    if len(certificates) < 2:
        return None
    first, others = certificates[0], certificates[1:]
    try:
        roots = [one for one in others if _is_root(one)]
        return _chain_end(first, roots, [one for one in others if one not in roots])
    except _UNUSABLE:
        return None


def _is_root(certificate: x509.Certificate) -> bool:
    """Check whether k3s takes a certificate for a root: without an authority key id, or with its own."""
    authority = _extension(certificate, x509.AuthorityKeyIdentifier)
    if authority is None or authority.key_identifier is None:
        return True
    subject = _extension(certificate, x509.SubjectKeyIdentifier)
    return subject is not None and subject.digest == authority.key_identifier


def _chain_end(
    certificate: x509.Certificate, roots: list[x509.Certificate], unused: list[x509.Certificate]
) -> x509.Certificate | None:
    """Follow issuers to the first root; each intermediate is tried once, so that no bundle costs more than it has."""
    for root in roots:
        if _issued(certificate, root):
            return root
    for issuer in tuple(unused):
        if issuer in unused and _issued(certificate, issuer):
            unused.remove(issuer)
            end = _chain_end(issuer, roots, unused)
            if end is not None:
                return end
    return None


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    constraints = _extension(issuer, x509.BasicConstraints)
    if certificate.issuer != issuer.subject or (constraints is not None and not constraints.ca):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except _UNUSABLE:
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
