"""A master's own kubeconfig, of which nothing is taken but a CA, a certificate and its key.

A kubeconfig may also name a command that whoever uses it runs, and files that he reads: a master that was broken into
would so run commands on the operator's machine.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hetzner_k3s.model.errors import Fate, OperationFailed
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.documents import Document, Malformed

_MOST: Final = 256 << 10
"""Characters: k3s writes three thousand."""


@dataclass(frozen=True, slots=True)
class AdminKubeconfig:
    """What proves who the API is and who we are: each base64 of PEM, as in the file."""

    ca: str
    certificate: str
    key: Secret

    def is_same(self, other: AdminKubeconfig) -> bool:
        """Check whether another one proves the same."""
        return self.ca == other.ca and self.user() == other.user()

    def user(self) -> dict[str, str]:
        """Return the user as it stands in a kubeconfig."""
        return {"client-certificate-data": self.certificate, "client-key-data": self.key.reveal()}


def read_admin_kubeconfig(text: Secret, server: str) -> AdminKubeconfig:
    """Read `/etc/rancher/k3s/k3s.yaml` of a master called `server`.

    Raises:
        OperationFailed: it is cut short, or not what k3s writes. Nothing of it is quoted: it holds a key.
    """
    try:
        return _read(text.reveal())
    except Malformed as problem:
        raise OperationFailed(
            f"{server}: its kubeconfig (/etc/rancher/k3s/k3s.yaml) cannot be read: {problem}",
            server=server,
            operation="ReadSecret",
            fate=Fate.DID_NOT_HAPPEN,
        ) from None


def _read(text: str) -> AdminKubeconfig:
    if len(text) > _MOST:
        raise Malformed("it is longer than k3s writes it")
    try:
        loaded: object = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Malformed("it is no YAML") from None
    document = Document.of(loaded)
    cluster = _only(document, "clusters").child("cluster")
    user = _only(document, "users").child("user")
    return AdminKubeconfig(
        ca=_base64(cluster, "certificate-authority-data"),
        certificate=_base64(user, "client-certificate-data"),
        key=Secret(_base64(user, "client-key-data")),
    )


def _only(document: Document, name: str) -> Document:
    entries = document.children(name)
    if not entries:
        raise Malformed(f"{name} is empty")
    return entries[0]


def _base64(document: Document, name: str) -> str:
    text = document.raw_text(name)
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed(f"{document.path}.{name} is no base64") from None
    return text
