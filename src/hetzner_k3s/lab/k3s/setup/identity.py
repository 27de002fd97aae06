"""Who this host is in the cluster: node name, addresses, token."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.setup.paths import Layout
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.k3s.trust.tokens import Token


@dataclass(frozen=True, slots=True)
class Identity:
    """Name and addresses of this node."""

    name: str
    addresses: tuple[str, ...]
    external: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The node's first address; etcd and API server are known by it."""
        return self.addresses[0]


def of_host(flags: Flags) -> Identity:
    """Take name and addresses from the configuration, else from the host."""
    name = flags.text("node-name") or socket.gethostname().partition(".")[0].lower()
    if flags.on("with-node-id"):
        name += f"-{secrets.token_hex(4)}"
    addresses = flags.many("node-ip") or (first_address(),)
    return Identity(name, addresses, flags.many("node-external-ip"))


def addresses_of_host() -> tuple[str, ...]:
    """Return the IPv4 addresses of this host's interfaces, but loopback's."""
    shown = subprocess.run(
        ["ip", "-j", "-4", "addr", "show", "scope", "global"], capture_output=True, check=True, timeout=10
    )
    rows = json.loads(shown.stdout or b"[]")
    return tuple(str(info["local"]) for row in rows for info in row.get("addr_info", ()))


def first_address() -> str:
    """Return the address of the default route's interface, else the first that is not loopback."""
    for address in addresses_of_host():
        return address
    raise Fatal("Error: no address found on this host")


def configured_token(flags: Flags) -> Token | None:
    """Read the token from `token`, `token-file` or the environment.

    Raises:
        Fatal: a malformed token.
    """
    text = flags.text("token")
    if not text and (file := flags.text("token-file")):
        text = Path(file).read_text()
    try:
        return tokens.parse(text) if text.strip() else None
    except tokens.TokenError as problem:
        raise Fatal(f"Error: {problem}") from problem


def server_token(flags: Flags, layout: Layout) -> Token:
    """Return the token a server starts with: configured, else the one it wrote before, else a new random one."""
    configured = configured_token(flags)
    if configured is not None:
        return configured
    if layout.token.exists():
        return Token(tokens.parse(layout.token.read_text()).password)
    return Token(tokens.random_password())


def member_name(layout: Layout, node: str) -> str:
    """Read this member's name, or choose one: the node's name and eight random hex digits."""
    if layout.member_name.exists():
        return layout.member_name.read_text().strip()
    return new_member_name(node)


def new_member_name(node: str) -> str:
    """Choose a member name."""
    return f"{node}-{secrets.token_hex(4)}"
