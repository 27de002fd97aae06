"""The authorities, passwords and kubeconfig of a simulated server, and how they are sealed in the datastore."""

from __future__ import annotations

import base64
import datetime
import json

from hetzner_k3s.lab.k3s.trust import bootstrap, ca_rotation, tokens
from hetzner_k3s.lab.k3s.trust.bootstrap import BootstrapError, File
from hetzner_k3s.lab.k3s.trust.ca_rotation import seeded
from hetzner_k3s.lab.k3s.trust.pki import AUTHORITIES
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.hosts.disk import Disk

PREFIX = "/bootstrap/"


def create_authorities(disk: Disk, chance: Chance, password: str, agent: str, now: float) -> None:
    """Make what a new cluster starts from; files that are there stay (a kept `server/tls` keeps the identity).

    `agent` is the password that agents join with, empty where they use that of the servers.
    """
    for name, (_, called) in AUTHORITIES.items():
        if name not in disk.server:
            drawn = chance.token_hex(24) + chance.token_hex(24)
            pair = ca_rotation.authority(called, datetime.datetime.fromtimestamp(now, datetime.UTC), seeded(drawn))
            disk.server[name], disk.server[f"{name}Key"] = File(pair.certificate, now), File(pair.key, now)
    for name in ("ServiceKey", "IPSECKey"):
        disk.server.setdefault(name, File(f"{name} {chance.token_hex(24)}".encode(), now))
    write_passwd(disk, password, now, agent=agent or password)


def write_passwd(disk: Disk, password: str, now: float, *, agent: str | None = None) -> None:
    """Write `server/cred/passwd`; without `agent` agents keep the password of their own, where they have one."""
    kept = disk.agent_password or password
    disk.server["PasswdFile"] = File(tokens.passwd_file(password, agent or kept).encode(), now)


def ensure_passwords(disk: Disk, password: str, agent: str, now: float) -> None:
    """Write the passwords of `config.yaml` where the file holds others, as every start does after it has bootstrapped.

    So a master that lacks the cluster's agent token makes its file newer than the datastore's, and does not start again
    (docs/facts/k3s.md#agent-token).
    """
    wanted = tokens.parse_passwd(tokens.passwd_file(password, agent or password))
    if passwords(disk) != wanted:
        write_passwd(disk, password, now, agent=agent or password)


def touch_passwd(disk: Disk, password: str, now: float) -> None:
    """Write the password file again with the same content, as every start does.

    See docs/facts/k3s.md#token-rotation.
    """
    file = disk.server.get("PasswdFile")
    if file is not None and tokens.parse_passwd(file.content.decode()).get("server", ("",))[0] == password:
        disk.server["PasswdFile"] = File(file.content, now)


def passwords(disk: Disk) -> dict[str, tuple[str, str]]:
    """Read the password file."""
    file = disk.server.get("PasswdFile")
    return tokens.parse_passwd(file.content.decode()) if file else {}


def install(disk: Disk, bundle: dict[str, File], now: float) -> None:
    """Write a bundle's files to disk where they differ."""
    for name, file in bundle.items():
        if name not in disk.server or disk.server[name].content != file.content:
            disk.server[name] = File(file.content, now)


def write_access(disk: Disk, password: str, chance: Chance) -> None:
    """Write token and admin kubeconfig, as every start does."""
    ca = disk.server_ca
    assert ca is not None  # a server without authorities does not come this far
    disk.token = tokens.full(ca, password)
    authority = base64.b64encode(ca).decode()
    user = {"client-certificate-data": authority, "client-key-data": chance.token_hex(24)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "default",
                "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority-data": authority},
            }
        ],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
        "users": [{"name": "default", "user": user}],
    }
    disk.kubeconfig = json.dumps(document)


def seal(bundle: dict[str, File], password: str) -> bytes:
    """Seal bootstrap data; nobody in here looks inside without the password, so it is not really encrypted."""
    return json.dumps({"sealed": tokens.short_hash(password), "data": bootstrap.encode(bundle).decode()}).encode()


def unseal(entries: dict[str, bytes], password: str) -> dict[str, File]:
    """Find this password's bundle among the datastore's `/bootstrap/` keys.

    Raises:
        BootstrapError: there is none, or only one of another token.
    """
    value = entries.get(tokens.storage_key(password))
    if value is None:
        raise BootstrapError(bootstrap.OTHER_TOKEN if entries else bootstrap.NO_DATA)
    return bootstrap.decode(json.loads(value)["data"].encode())
