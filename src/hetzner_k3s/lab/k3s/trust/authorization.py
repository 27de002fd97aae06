"""Who may call what on the supervisor's port (fixtures http/*). Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from hetzner_k3s.lab.k3s.setup.vocabulary import words


class Role(Enum):
    """Groups of the password file, and clients without one."""

    NONE = ""
    AGENT = "k3s:agent"
    SERVER = "k3s:server"
    WRONG = "wrong password"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from.

    Args:
        role: by basic authentication.
        local: it comes from 127.0.0.1.
        certificate: the common name of a client certificate of the cluster, or empty.
        groups: the certificate's organizations.
    """

    role: Role
    local: bool
    certificate: str = ""
    groups: tuple[str, ...] = ()


class Verdict(Enum):
    """What the supervisor does with a request."""

    ALLOWED = 200
    UNAUTHORIZED = 401
    FORBIDDEN = 403


_OPEN = frozenset(("/ping", "/cacerts"))
_AGENT = words(
    """
    /v1-k3s/readyz /v1-k3s/config /v1-k3s/apiservers /v1-k3s/serving-kubelet.crt /v1-k3s/client-kubelet.crt
    /v1-k3s/client-kube-proxy.crt /v1-k3s/client-k3s-controller.crt /v1-k3s/client-ca.crt /v1-k3s/server-ca.crt
    /v1-k3s/connect
    """
)
_SERVER = words(
    """
    /v1-k3s/server-bootstrap /v1-k3s/token /v1-k3s/encrypt/status /v1-k3s/encrypt/config /v1-k3s/cert/cacerts
    /db/info /db/snapshot /lab/member
    """
)


def is_supervisor_path(path: str) -> bool:
    """Check whether the supervisor answers a path; the API server answers all others, `/db/info/` too."""
    return path in _OPEN or path in _AGENT or path in _SERVER


def role_of(header: str | None, passwords: Mapping[str, tuple[str, str]]) -> Role:
    """Check an Authorization header against the password file (user -> password, group)."""
    if not header or not header.startswith("Basic "):
        return Role.NONE
    try:
        user, _, password = base64.b64decode(header[6:]).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return Role.WRONG
    expected, group = passwords.get(user, ("", ""))
    if not expected or not hmac.compare_digest(expected, password):
        return Role.WRONG
    return Role(group)


def verdict(path: str, caller: Caller) -> Verdict:
    """Decide about a supervisor path.

    `/db/info` is open to the host itself whatever the credentials say, even wrong ones (fixture local_wrongpw_db_info).
    """
    if path in _OPEN or (path == "/db/info" and caller.local):
        return Verdict.ALLOWED
    if caller.role is Role.WRONG:
        return Verdict.UNAUTHORIZED
    if path in _SERVER:
        return Verdict.ALLOWED if caller.role is Role.SERVER else Verdict.FORBIDDEN
    is_node = "system:nodes" in caller.groups
    return Verdict.ALLOWED if caller.role is Role.AGENT or is_node else Verdict.FORBIDDEN
