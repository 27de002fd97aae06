"""`k3s certificate rotate-ca`, driven anew (docs/facts/k3s.md#ca-rotation)."""

from __future__ import annotations

import base64
import datetime
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hetzner_k3s.lab.k3s.trust import ca_rotation, pki, tokens
from hetzner_k3s.lab.k3s.trust.certificates import Pair

from .clusters import SERVER, birth, join, token_of, work
from .rig import Host, Rig, eventually

pytestmark = pytest.mark.realhosts

FILES = ("/var/lib/rancher/k3s/server/tls/server-ca.crt", "/var/lib/rancher/k3s/agent/server-ca.crt")
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
_STAMP = re.compile(r"@\d+")
Look = dict[str, list[tuple[str, str]]]


def recorded(recordings: Path, name: str, host: str) -> Look:
    """Read what a recording tells of one host's files: subject and issuer of each certificate, without its time."""
    text = (recordings / "second" / name).read_text()
    section = next(part for part in text.split("===== ")[1:] if part.partition("\n")[0].endswith(host))
    found: Look = {}
    for line in section.splitlines():
        if (head := re.match(r"(/\S+): \d+ certificates", line)) and head[1] in (*FILES, KUBECONFIG):
            certificates = found.setdefault(head[1], [])
        elif pair := re.match(r" +[0-9a-f]{12} subj=(CN=k3s-server\S+) issuer=(\S+)", line):
            certificates.append((_STAMP.sub("", pair[1]), _STAMP.sub("", pair[2])))
    return found


def look(host: Host) -> Look:
    """Read the same off a host of the rig."""
    found = {file: host.path(file).read_bytes() for file in FILES if host.path(file).exists()}
    if host.path(KUBECONFIG).exists():
        data = re.search(r"certificate-authority-data: (\S+)", host.path(KUBECONFIG).read_text())
        assert data
        found[KUBECONFIG] = base64.b64decode(data[1])
    return {file: list(_names(content)) for file, content in found.items()}


def _names(content: bytes) -> Iterator[tuple[str, str]]:
    for one in x509.load_pem_x509_certificates(content):
        yield _STAMP.sub("", one.subject.rfc4514_string()), _STAMP.sub("", one.issuer.rfc4514_string())


def rotate(host: Host) -> None:
    """Do as k3s' own script: make the files, then have k3s take them."""
    tls = host.path(f"{SERVER}/tls")
    before = Pair((tls / "server-ca.crt").read_bytes(), (tls / "server-ca.key").read_bytes())
    pair = ca_rotation.rotated(before, pki.AUTHORITIES["ServerCA"][1], datetime.datetime.now(datetime.UTC))
    target = host.path("/opt/rotated/tls")
    target.mkdir(parents=True)
    (target / "server-ca.crt").write_bytes(pair.certificate)
    (target / "server-ca.key").write_bytes(pair.key)
    host.sh("k3s certificate rotate-ca --path /opt/rotated")


def restart(host: Host) -> None:
    """Start a master anew and wait until it has put its CA down for the agent: it may be ready before that."""
    host.stop()
    host.start().wait_ready()
    of_server, of_agent = map(host.path, FILES)
    eventually(f"{host.name} its agent's CA", lambda: of_agent.read_bytes() == of_server.read_bytes(), 20, host.tail)


def test_nothing_changes_before_each_master_is_restarted(new_rig: Callable[..., Rig], recordings: Path) -> None:
    rig = new_rig()
    first = birth(rig)
    second = join(rig, "master2", first)
    first.server_config(server=f"https://{second.address}:6443", token=token_of(first))
    worker = work(rig, "worker1", first)
    old, token = first.path(FILES[0]).read_bytes(), token_of(first)
    assert look(first) == recorded(recordings, "10-f2-before.txt", "demo-master1")
    assert look(worker) == recorded(recordings, "10-f2-before.txt", "demo-pool-small-worker1")

    rotate(first)
    assert look(first) == recorded(recordings, "11-f2-rotated.txt", "demo-master1")
    assert (first.path(FILES[0]).read_bytes(), token_of(first)) == (old, token)

    restart(first)
    assert look(first) == recorded(recordings, "12-f2-restarted.txt", "demo-master1")
    assert look(second) == recorded(recordings, "11-f2-rotated.txt", "demo-master2")
    restart(second)
    assert look(second) == recorded(recordings, "12-f2-restarted.txt", "demo-master2")
    assert look(worker) == recorded(recordings, "12-f2-restarted.txt", "demo-pool-small-worker1")
    _the_token_is_of_the_new_root(first, recordings)
    assert token_of(second) == token_of(first) != token
    _a_worker_waits_with_the_old_token(worker, first, recordings)


def _the_token_is_of_the_new_root(first: Host, recordings: Path) -> None:
    """As recorded: `server/token` names the second certificate, k3s' script the first one (second/14)."""
    new = [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(first.path(FILES[0]).read_bytes())]
    assert tokens.parse(token_of(first)).ca_hash == hashlib.sha256(new[1]).hexdigest()
    script = (recordings / "second" / "14-f2-scripts-token.txt").read_text()
    assert "sha256 of the DER of the new root CN=k3s-server-root" in script


def _a_worker_waits_with_the_old_token(worker: Host, first: Host, recordings: Path) -> None:
    worker.stop()
    worker.start(command="agent")
    words = "token CA hash does not match the Cluster CA certificate hash"
    assert words in (recordings / "second" / "13-f2-worker.txt").read_text()
    eventually("its complaint", lambda: words in worker.log, 20, worker.tail)
    assert worker.process is not None
    assert worker.process.poll() is None, "it ended, where the recorded one waits"
    worker.stop()
    worker.configure(server=f"https://{first.address}:6443", token=token_of(first))
    worker.start(command="agent")
    bundle = first.path(FILES[0]).read_bytes()
    eventually("the new CA", lambda: worker.path(FILES[1]).read_bytes() == bundle, 20, worker.tail)
