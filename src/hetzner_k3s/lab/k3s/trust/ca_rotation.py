"""A CA for the simulation, and what k3s' own `rotate-default-ca-certs.sh` makes out of a CA (second/10-14).

After it: a new intermediate that signs from now on, a new root, that root cross-signed by the CA of before, and the
file of before at the end. `k3s certificate rotate-ca` puts the result into the datastore.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from hetzner_k3s.lab.k3s.etcd.port import KeyValues
from hetzner_k3s.lab.k3s.trust import bootstrap, ca_bundle, tokens
from hetzner_k3s.lab.k3s.trust.bootstrap import File
from hetzner_k3s.lab.k3s.trust.certificates import Pair

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_LIFE = datetime.timedelta(days=3650)
_HOUR = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Source:
    """Where keys and serial numbers come from."""

    key: Callable[[], Key]
    number: Callable[[], int]


RANDOM = Source(lambda: ec.generate_private_key(ec.SECP256R1()), lambda: secrets.randbits(62) + 1)


def seeded(digits: str) -> Source:
    """Draw keys and serial numbers from a text: the same text gives the same certificates."""
    drawn = _draws(digits)
    return Source(
        key=lambda: ed25519.Ed25519PrivateKey.from_private_bytes(next(drawn)),
        number=lambda: int.from_bytes(next(drawn)[:7], "big") + 1,
    )


def _draws(text: str) -> Iterator[bytes]:
    return (hashlib.sha256(f"{text}/{number}".encode()).digest() for number in itertools.count())


@dataclass(frozen=True, slots=True)
class _Signer:
    certificate: x509.Certificate | None
    name: x509.Name
    key: Key


def authority(name: str, now: datetime.datetime, source: Source) -> Pair:
    """Make a self-signed authority `<name>@<unix seconds>`, as a first start of k3s does."""
    key, subject = source.key(), _named(name, now)
    certificate = _certify(subject, key, _Signer(None, subject, key), now, source)
    return Pair(_pem(certificate), _key_pem(key))


def rotated(before: Pair, name: str, now: datetime.datetime, source: Source = RANDOM) -> Pair:
    """Make the file and the key that follow a CA.

    Args:
        before: file and key of now; the key is that of the file's first certificate.
        name: of the CA (`k3s-server-ca`); the new root is called `…-root`.
        now: the clock.
        source: of keys and serial numbers.
    """
    first = x509.load_pem_x509_certificates(before.certificate)[0]
    old_key = serialization.load_pem_private_key(before.key, None)
    assert isinstance(old_key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    old = _Signer(first, first.subject, old_key)
    root_name, root_key, key = _named(name.removesuffix("-ca") + "-root", now), source.key(), source.key()
    root = _certify(root_name, root_key, _Signer(None, root_name, root_key), now, source)
    crossed = _certify(root_name, root_key, old, now, source)
    intermediate = _certify(_named(name, now), key, _Signer(root, root_name, root_key), now, source)
    bundle = b"".join(map(_pem, (intermediate, root, crossed))) + before.certificate
    return Pair(bundle, _key_pem(key))


class Untrusted(ValueError):
    """A CA that nobody who trusts the one of now would trust."""


async def replace(kv: KeyValues, password: str, given: dict[str, File], now: float, *, force: bool) -> None:
    """Put authorities into the datastore's bootstrap data; no file on any disk changes.

    Raises:
        Untrusted: the new server CA does not continue the one of now, and `force` is not given.
    """
    key = tokens.storage_key(password)
    found = (await kv.get(key)).entries[0]
    bundle = bootstrap.from_store({key: found.value}, password)
    new = given.get("ServerCA", bundle["ServerCA"])
    if not force and not ca_bundle.trusts(bundle["ServerCA"].content, new.content):
        raise Untrusted("failed to validate new CA certificates and keys: new ServerCA was not signed by the old one")
    bundle |= {name: File(file.content, now) for name, file in given.items()}
    await kv.put(key, bootstrap.encrypt(password, bootstrap.encode(bundle)), found.mod_revision)


def _named(name: str, now: datetime.datetime) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}@{int(now.timestamp())}")])


def _certify(subject: x509.Name, key: Key, signer: _Signer, now: datetime.datetime, source: Source) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.name)
        .public_key(key.public_key())
        .serial_number(source.number())
        .not_valid_before(now - _HOUR)
        .not_valid_after(now - _HOUR + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if signer.certificate is not None:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    plain = isinstance(signer.key, ed25519.Ed25519PrivateKey)
    return builder.sign(signer.key, None if plain else hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    kind = (
        serialization.PrivateFormat.PKCS8
        if isinstance(key, ed25519.Ed25519PrivateKey)
        else serialization.PrivateFormat.TraditionalOpenSSL
    )
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
