"""Tokens: their format, what they pin, what they prove (docs/facts/k3s.md#token-format). Pure."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from hetzner_k3s.lab.k3s.trust import ca_bundle

PREFIX = "K10"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as configured: `K10<hash of the CA file>::<user>:<password>` or a bare password.

    `ca_hash` is None when the token pins nothing.
    """

    password: str
    user: str = "server"
    ca_hash: str | None = None


class TokenError(ValueError):
    """A token that cannot be used; the text is k3s'."""


def parse(text: str) -> Token:
    """Split a configured token.

    Raises:
        TokenError: it starts like a full token and is none.
    """
    text = text.strip()
    if not text.startswith(PREFIX):
        user, found, password = text.partition(":")
        return Token(password, user) if found and user in ("server", "node") else Token(text)
    head, separator, credentials = text[len(PREFIX) :].partition("::")
    if not separator or len(head) != 64:
        raise TokenError("invalid token CA hash length")
    user, _, password = credentials.partition(":")
    if not password:
        raise TokenError("invalid token format")
    return Token(password, user, head)


def ca_hash(cacerts: bytes) -> str:
    """Hash a cluster's CA file as the K10 part of its tokens does."""
    return ca_bundle.ca_hash(cacerts)


def full(cacerts: bytes, password: str, user: str = "server") -> str:
    """Make the full token of a cluster: of its servers, or, for the user `node`, of its agents."""
    return f"{PREFIX}{ca_hash(cacerts)}::{user}:{password}"


def storage_key(password: str) -> str:
    """Name the datastore key that holds the bootstrap data encrypted with this password."""
    return f"/bootstrap/{short_hash(password)}"


def short_hash(password: str) -> str:
    """Return the 12 hex digits by which k3s tells passwords apart without showing them."""
    return hashlib.sha256(password.encode()).hexdigest()[:12]


def check_ca(token: Token, cacerts: bytes) -> None:
    """Compare a token's pin with a cluster's CA file.

    Raises:
        TokenError: the token pins another cluster.
    """
    found = ca_hash(cacerts)
    if token.ca_hash is not None and token.ca_hash != found:
        raise TokenError(f"token CA hash does not match the Cluster CA certificate hash: {token.ca_hash} != {found}")


UNPINNED = (
    "Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. "
    "Use the full token from the server's node-token file to enable Cluster CA validation."
)


def random_password() -> str:
    """Make the password of a cluster whose configuration gives none."""
    return secrets.token_hex(16)


def passwd_file(server_password: str, agent_password: str) -> str:
    """Render `server/cred/passwd`."""
    return f"{agent_password},node,node,k3s:agent\n{server_password},server,server,k3s:server\n"


def parse_passwd(text: str) -> dict[str, tuple[str, str]]:
    """Read `server/cred/passwd` into user -> (password, group)."""
    rows = [line.split(",") for line in text.splitlines() if line.count(",") >= 3]
    return {row[1]: (row[0], row[3]) for row in rows}
