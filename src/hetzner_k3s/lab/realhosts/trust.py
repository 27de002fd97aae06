"""A certificate authority of the lab's own, and the layer that puts it into the hosts' trust store."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
_LIFETIME = datetime.timedelta(days=30)


def write_server_credentials(folder: Path, names: tuple[str, ...]) -> str:
    """Write `server.crt` and `server.key` (PEM, for `names`) to `folder`; gives the authority's certificate.

    The authority's key is not kept: nobody can sign with it later.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hetzner-k3s lab authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    authority = (
        _certificate(issuer, authority_key.public_key(), issuer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _certificate(subject, key.public_key(), issuer)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").touch(mode=0o600)
    (folder / "server.key").write_bytes(_pem(key))
    return authority.public_bytes(serialization.Encoding.PEM).decode()


def write_trust_layer(layer: Path, rootfs: Path, authority: str) -> None:
    """Write an overlay layer for `rootfs` in which `authority` is trusted, as update-ca-certificates would do it."""
    local = layer / "usr/local/share/ca-certificates/hetzner-k3s-lab.crt"
    bundle = layer / _BUNDLE
    for path, content in ((local, authority), (bundle, (rootfs / _BUNDLE).read_text() + authority)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    hashed = subprocess.run(
        ["chroot", str(rootfs), "openssl", "x509", "-noout", "-subject_hash"],
        input=authority,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (bundle.parent / f"{hashed}.0").symlink_to("/usr/local/share/ca-certificates/hetzner-k3s-lab.crt")


def _certificate(subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
