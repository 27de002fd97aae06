"""The hash of a CA file, as k3s computes it, and the CAs that a bundle continues.

See docs/facts/k3s.md#ca-hash.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from hetzner_k3s.hosts.ca_bundle import MOST_CERTIFICATES, ca_hash, former_hashes
from hetzner_k3s.hosts.host_facts import disk_facts
from hetzner_k3s.hosts.shell import script
from hetzner_k3s.lab.k3s.trust import ca_bundle, ca_rotation
from hetzner_k3s.lab.k3s.trust.certificates import Pair, authority
from hetzner_k3s.model.text.documents import Document

NOW = datetime.datetime(2026, 11, 28, tzinfo=datetime.UTC)
FIRST = authority("k3s-server-ca", NOW)
SECOND = ca_rotation.rotated(FIRST, "k3s-server-ca", NOW)
THIRD = ca_rotation.rotated(SECOND, "k3s-server-ca", NOW)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def ders(pair: Pair) -> list[bytes]:
    return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(pair.certificate)]


def test_one_certificate_is_hashed_as_the_file_that_it_is() -> None:
    assert ca_hash(FIRST.certificate) == sha256(FIRST.certificate)
    assert former_hashes(FIRST.certificate) == ()


def test_a_rotated_ca_is_known_by_the_der_of_its_new_root() -> None:
    """Recorded in second/12: 2e9e40ff… is the second certificate of four, the new root."""
    assert len(ders(SECOND)) == 4
    assert ca_hash(SECOND.certificate) == sha256(ders(SECOND)[1])
    assert ca_hash(THIRD.certificate) == sha256(ders(THIRD)[1])


def test_a_bundle_that_does_not_verify_is_hashed_as_it_is() -> None:
    unrelated = FIRST.certificate + authority("k3s-server-ca", NOW).certificate
    assert ca_hash(unrelated) == sha256(unrelated)
    damaged = SECOND.certificate.replace(b"MII", b"MIJ", 1)
    assert ca_hash(damaged) == sha256(damaged)


def test_the_ca_of_before_is_in_the_bundle_as_it_was_known() -> None:
    assert sha256(FIRST.certificate) in former_hashes(SECOND.certificate)
    assert {ca_hash(FIRST.certificate), ca_hash(SECOND.certificate)} <= set(former_hashes(THIRD.certificate))
    assert ca_hash(SECOND.certificate) not in former_hashes(SECOND.certificate)
    assert sha256(authority("k3s-server-ca", NOW).certificate) not in former_hashes(THIRD.certificate)


@pytest.mark.parametrize("pair", [FIRST, SECOND, THIRD])
def test_the_lab_computes_the_same_by_itself(pair: Pair) -> None:
    assert ca_bundle.ca_hash(pair.certificate) == ca_hash(pair.certificate)
    assert set(ca_bundle.earlier(pair.certificate)) <= set(former_hashes(pair.certificate))


@given(st.binary(max_size=300), st.integers(0, len(SECOND.certificate)))
def test_whatever_a_host_sends_has_a_hash(noise: bytes, at: int) -> None:
    for content in (noise, SECOND.certificate[:at] + noise + SECOND.certificate[at:]):
        assert len(ca_hash(content)) == 64
        assert all(len(one) == 64 for one in former_hashes(content))


def test_a_bundle_without_end_costs_no_more_than_its_beginning() -> None:
    endless = FIRST.certificate * (MOST_CERTIFICATES * 4)
    assert len(former_hashes(endless)) < MOST_CERTIFICATES * 2


# --- what the host sends


def told_by(root: Path) -> Document:
    """Run `disk_facts` over a scratch root."""
    text = script("prelude").replace("k3s_data=/var/lib/rancher/k3s", f"k3s_data={root}")
    body = f"{text}\n{script('facts')}\nhas_wal() {{ return 1; }}\ndisk_facts\n"
    done = subprocess.run(["/bin/sh", "-c", body], capture_output=True, text=True, timeout=20, check=True)
    return Document.parsed(done.stdout)


def lay(root: Path, server: bytes | None, agent: bytes | None, token: str = "") -> None:
    for folder, content in (("server/tls", server), ("agent", agent)):
        (root / folder).mkdir(parents=True)
        if content is not None:
            (root / folder / "server-ca.crt").write_bytes(content)
    if token:
        (root / "server/token").write_text(token + "\n")


def test_a_host_sends_its_bundles_as_they_are(tmp_path: Path) -> None:
    lay(tmp_path, SECOND.certificate, FIRST.certificate, f"K10{ca_hash(SECOND.certificate)}::server:secret")
    document = told_by(tmp_path)
    assert base64.b64decode(document.text("server_cas")) == SECOND.certificate
    facts = disk_facts(document)
    assert (facts.server_ca, facts.agent_ca) == (ca_hash(SECOND.certificate), ca_hash(FIRST.certificate))
    assert facts.knows_ca(ca_hash(FIRST.certificate))
    assert facts.agent_former_cas == ()
    assert "secret" not in str(document.fields)


def test_without_a_token_the_bundle_tells_the_ca(tmp_path: Path) -> None:
    lay(tmp_path, SECOND.certificate, None)
    facts = disk_facts(told_by(tmp_path))
    assert (facts.server_ca, facts.agent_ca) == (ca_hash(SECOND.certificate), None)


def test_a_host_without_certificates_tells_none(tmp_path: Path) -> None:
    lay(tmp_path, None, None)
    facts = disk_facts(told_by(tmp_path))
    assert (facts.server_ca, facts.agent_ca, facts.former_cas) == (None, None, ())
