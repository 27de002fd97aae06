"""k3s' certificate authorities and what they sign: ECDSA P-256, ten years for an authority, one for the rest."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hetzner_k3s.lab.k3s import logfmt

_HOUR = datetime.timedelta(hours=1)
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (with its chain) and its key, both PEM."""

    certificate: bytes
    key: bytes


def _go_time(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, plain)


def service_key() -> bytes:
    """Make the RSA key that would sign service account tokens."""
    return _key_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def private_key() -> bytes:
    """Make a P-256 key."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def authority(name: str, now: datetime.datetime) -> Pair:
    """Make a self-signed authority `<name>@<unix seconds>`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}@{int(now.timestamp())}")])
    usage = _usage(digital_signature=True, key_encipherment=True, key_cert_sign=True)
    certificate = (
        _builder(subject, subject, key.public_key(), now, 3650)
        .add_extension(usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    logfmt.info(
        f"generated self-signed CA certificate CN={name}@{int(now.timestamp())}: "
        f"notBefore={_go_time(now - _HOUR)} notAfter={_go_time(now - _HOUR + 3650 * _DAY)}"
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


class Issuer:
    """An authority's pair, ready to sign."""

    def __init__(self, pair: Pair) -> None:
        self._certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("authority key is not an EC key")
        self._key, self._pem = key, _chain(pair.certificate)

    def sign(
        self,
        common_name: str,
        now: datetime.datetime,
        *,
        organization: str = "",
        server_names: Iterable[str] = (),
        client: bool = True,
        key_pem: bytes | None = None,
    ) -> Pair:
        """Sign a certificate for a new key, or for `key_pem`.

        Args:
            common_name: CN.
            now: valid from one hour before.
            organization: O, a Kubernetes group.
            server_names: DNS names and addresses it may serve under; none makes it a client certificate only.
            client: it may be shown by a client.
            key_pem: reuse this key.
        """
        key = self._load(key_pem)
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
        subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, self._certificate.subject, key.public_key(), now, 365)
        builder = builder.add_extension(_usage(digital_signature=True, key_encipherment=True), critical=True)
        alternatives = _alternatives(server_names)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH] if alternatives else []
        purposes += [ExtendedKeyUsageOID.CLIENT_AUTH] if client else []
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self._report(common_name, organization, now)
        return Pair(pem + self._pem, _key_pem(key))

    def _report(self, common_name: str, organization: str, now: datetime.datetime) -> None:
        subject = f"CN={common_name}" + (f",O={organization}" if organization else "")
        start = now - _HOUR
        logfmt.info(
            f"certificate {subject} signed by {self._certificate.subject.rfc4514_string()}: "
            f"notBefore={_go_time(start)} notAfter={_go_time(start + 365 * _DAY)}"
        )

    @staticmethod
    def _load(key_pem: bytes | None) -> ec.EllipticCurvePrivateKey:
        if key_pem is None:
            return ec.generate_private_key(ec.SECP256R1())
        key = serialization.load_pem_private_key(key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("not an EC key")
        return key


def _chain(bundle: bytes) -> bytes:
    """Return what a certificate is followed by; of a rotated CA only the way to the one before, which every client has.

    A client of OpenSSL that holds the CA of before gives up at the first self-signed certificate; Go's looks further.
    """
    certificates = x509.load_pem_x509_certificates(bundle)
    way = [one for one in certificates if one.issuer != one.subject] if len(certificates) > 1 else certificates
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in way)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(secrets.randbits(62))
        .not_valid_before(now - _HOUR)
        .not_valid_after(now - _HOUR + days * _DAY)
    )


def _usage(*, digital_signature: bool, key_encipherment: bool, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found
