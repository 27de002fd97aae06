"""The control plane's files: authorities, what they sign, kubeconfigs, tokens.

See docs/facts/k3s.md#files.
"""

from __future__ import annotations

import base64
import datetime
import secrets
from collections.abc import Sequence
from pathlib import Path

from hetzner_k3s.lab.k3s.setup import paths
from hetzner_k3s.lab.k3s.setup.paths import Layout, directory, link, write
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.k3s.trust.certificates import Issuer, Pair, authority, private_key, service_key

# Name in the bootstrap data -> file below server/tls; the key lies beside it.
AUTHORITIES = {
    "ClientCA": ("client-ca", "k3s-client-ca"),
    "ServerCA": ("server-ca", "k3s-server-ca"),
    "RequestHeaderCA": ("request-header-ca", "k3s-request-header-ca"),
    "ETCDServerCA": ("etcd/server-ca", "etcd-server-ca"),
    "ETCDPeerCA": ("etcd/peer-ca", "etcd-peer-ca"),
}

# File below server/tls, CN, O: signed by the client authority.
_CLIENTS = (
    ("client-admin", "system:admin", "system:masters"),
    ("client-supervisor", "system:k3s-supervisor", "system:masters"),
    ("client-controller", "system:kube-controller-manager", ""),
    ("client-scheduler", "system:kube-scheduler", ""),
    ("client-kube-apiserver", "system:apiserver", "system:masters"),
    ("client-k3s-cloud-controller", "k3s-cloud-controller-manager", ""),
)
_KUBECONFIGS = {
    "admin": "client-admin",
    "api-server": "client-kube-apiserver",
    "cloud-controller": "client-k3s-cloud-controller",
    "controller": "client-controller",
    "scheduler": "client-scheduler",
    "supervisor": "client-supervisor",
}
_BARE_KEYS = ("client-kubelet", "client-kube-proxy", "client-k3s-controller", "serving-kubelet")


def _save(base: Path, pair: Pair) -> None:
    directory(base.parent, 0o755 if base.parent.name in ("etcd", *_COMPONENTS) else 0o700)
    write(base.with_name(base.name + ".crt"), pair.certificate, 0o644)
    write(base.with_name(base.name + ".key"), pair.key, 0o600)


_COMPONENTS = ("kube-controller-manager", "kube-scheduler")


def load(base: Path) -> Pair:
    """Read `<base>.crt` and `<base>.key`."""
    return Pair(base.with_name(base.name + ".crt").read_bytes(), base.with_name(base.name + ".key").read_bytes())


def create_authorities(layout: Layout, password: str, agent_password: str, now: datetime.datetime) -> None:
    """Make what a new cluster starts from; files that are there stay (a kept `server/tls` keeps the identity)."""
    for file, name in AUTHORITIES.values():
        if not (layout.tls / f"{file}.key").exists():
            _save(layout.tls / file, authority(name, now))
    if not (layout.tls / "service.key").exists():
        write(layout.tls / "service.key", service_key())
    directory(layout.cred)
    if not (layout.cred / "ipsec.psk").exists():
        write(layout.cred / "ipsec.psk", secrets.token_hex(48) + "\n")
    write(layout.passwd, tokens.passwd_file(password, agent_password))


def sign_leaves(layout: Layout, names: Sequence[str], address: str, now: datetime.datetime) -> None:
    """Sign this server's certificates anew, as every start does.

    Args:
        layout: where.
        names: DNS names and addresses the API server serves under.
        address: this node's private address, for etcd.
        now: the clock.
    """
    issuer = {name: Issuer(load(layout.tls / file)) for name, (file, _) in AUTHORITIES.items()}
    for file, common_name, organization in _CLIENTS:
        _save(layout.tls / file, issuer["ClientCA"].sign(common_name, now, organization=organization))
    _save(layout.tls / "serving-kube-apiserver", issuer["ServerCA"].sign("kube-apiserver", now, server_names=names))
    local = ("localhost", "127.0.0.1", "::1")
    for component in _COMPONENTS:
        pair = issuer["ServerCA"].sign(component, now, server_names=local, client=False)
        _save(layout.tls / component / component, pair)
    _save(layout.tls / "client-auth-proxy", issuer["RequestHeaderCA"].sign("system:auth-proxy", now))
    _save(layout.etcd_tls / "client", issuer["ETCDServerCA"].sign("etcd-client", now))
    etcd_names = (*local, address)
    _save(layout.etcd_tls / "peer-server-client", issuer["ETCDPeerCA"].sign("etcd-peer", now, server_names=etcd_names))
    _save(layout.etcd_tls / "server-client", issuer["ETCDServerCA"].sign("etcd-server", now, server_names=etcd_names))
    _small_files(layout)


def _small_files(layout: Layout) -> None:
    for name in _BARE_KEYS:
        if not (key := layout.tls / f"{name}.key").exists():
            write(key, private_key())
    for name in ("client-ca", "server-ca"):
        write(layout.tls / f"{name}.nochain.crt", (layout.tls / f"{name}.crt").read_bytes(), 0o644)
    write(layout.tls / "service.current.key", (layout.tls / "service.key").read_bytes())
    directory(layout.tls / "temporary-certs")
    directory(layout.server / "etc")
    directory(layout.server / "manifests")
    directory(layout.db)
    directory(layout.snapshots)


def server_certificate(layout: Layout) -> tuple[Path, Path]:
    """Give certificate and key file the supervisor and API server serve with."""
    return layout.tls / "serving-kube-apiserver.crt", layout.tls / "serving-kube-apiserver.key"


def kubeconfig(server: str, ca: bytes, client: Pair, name: str = "default") -> str:
    """Render an admin kubeconfig as k3s does (fixture host/etc_files_server.txt)."""
    data = {
        key: base64.b64encode(value).decode()
        for key, value in (("ca", ca), ("crt", client.certificate), ("key", client.key))
    }
    return f"""apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {data["ca"]}
    server: {server}
  name: {name}
contexts:
- context:
    cluster: {name}
    user: {name}
  name: {name}
current-context: {name}
kind: Config
users:
- name: {name}
  user:
    client-certificate-data: {data["crt"]}
    client-key-data: {data["key"]}
"""


def component_kubeconfig(ca: Path, client: Path, server: str = "https://127.0.0.1:6444") -> str:
    """Render a component's kubeconfig, which points to files."""
    return f"""apiVersion: v1
clusters:
- cluster:
    server: {server}
    certificate-authority: {ca}
  name: local
contexts:
- context:
    cluster: local
    namespace: default
    user: user
  name: Default
current-context: Default
kind: Config
preferences: {{}}
users:
- name: user
  user:
    client-certificate: {client.with_suffix(".crt")}
    client-key: {client.with_suffix(".key")}
"""


def write_component_kubeconfigs(layout: Layout) -> None:
    """Write `server/cred/*.kubeconfig`."""
    for name, client in _KUBECONFIGS.items():
        content = component_kubeconfig(layout.tls / "server-ca.crt", layout.tls / client)
        write(layout.cred / f"{name}.kubeconfig", content)


def write_tokens(layout: Layout, password: str) -> str:
    """Write the full token, its link, and the agents' one: a file of its own where they have a password (second/34)."""
    cacerts, agent_token = (layout.tls / "server-ca.crt").read_bytes(), layout.server / "agent-token"
    token = tokens.full(cacerts, password)
    write(layout.token, token + "\n")
    link(layout.server / "node-token", layout.token)
    agent = tokens.parse_passwd(layout.passwd.read_text())["node"][0]
    if agent == password:
        link(agent_token, layout.token)
    else:
        agent_token.unlink(missing_ok=True)
        write(agent_token, tokens.full(cacerts, agent, "node") + "\n")
    return token


def write_admin_kubeconfig(layout: Layout, mode: int, name: str, output: Path = paths.KUBECONFIG) -> None:
    """Write `/etc/rancher/k3s/k3s.yaml`."""
    directory(output.parent, 0o755)
    ca = (layout.tls / "server-ca.crt").read_bytes()
    write(output, kubeconfig("https://127.0.0.1:6443", ca, load(layout.tls / "client-admin"), name), mode)
