"""SSH keys (docs/facts/hetzner-api.md#ssh-keys)."""

from __future__ import annotations

import base64
import binascii
import hashlib

from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project, require_unique
from hetzner_k3s.lab.cloud.records import SshKey
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Kind, Request
from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input, limit_exceeded, not_found
from hetzner_k3s.lab.cloud.requests.fields import JsonObject

_ACCEPTED = ("ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


def view(_: Project, key: SshKey) -> JsonObject:
    """Return the JSON object of a key."""
    return {
        "id": key.id,
        "name": key.name,
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "labels": key.labels,
        "created": moment(key.created),
    }


KIND: Kind[SshKey] = Kind(
    "ssh_key", "ssh_keys", lambda project: project.ssh_keys, view, {"fingerprint": lambda _, key: key.fingerprint}
)


def find(project: Project, ref: str) -> SshKey:
    """Find a key by id or name, as POST /servers names it."""
    for key in project.ssh_keys.values():
        if str(key.id) == ref or key.name == ref:
            return key
    raise not_found("SSH key", ref)


def fingerprint(public_key: str) -> str:
    """Return the MD5 of the decoded key, colon separated, without the `MD5:` prefix.

    Raises:
        ApiError: the text is not a public key of an accepted type.
    """
    kind, _, rest = public_key.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split()[0], validate=True)
    except (IndexError, binascii.Error) as error:
        raise invalid_input("public_key", "is not a valid SSH public key") from error
    if kind not in _ACCEPTED or blob[4 : 4 + len(kind)] != kind.encode():
        raise invalid_input("public_key", "is not a valid SSH public key")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def _create(request: Request) -> Answer:
    project, body = request.project, request.body
    name, public_key = body.text("name"), body.text("public_key")
    digest = fingerprint(public_key)
    require_unique(name, project.ssh_keys.values(), "SSH key name")
    if any(key.fingerprint == digest for key in project.ssh_keys.values()):
        details = {"fields": [{"name": "public_key"}]}
        raise ApiError("uniqueness_error", "SSH key with the same fingerprint already exists", details)
    if len(project.ssh_keys) >= project.world.quotas.ssh_keys:
        raise limit_exceeded("SSH key limit exceeded", "ssh_key_limit")
    key = SshKey(
        id=project.world.ids.next(),
        name=name,
        created=project.world.clock.now(),
        labels=body.labels(),
        public_key=public_key.strip(),
        fingerprint=digest,
    )
    project.ssh_keys[key.id] = key
    return KIND.answer(201, project, key)


def _update(request: Request) -> Answer:
    return KIND.answer(200, request.project, KIND.rename_and_label(request, "SSH key name"))


def _delete(request: Request) -> Answer:
    del request.project.ssh_keys[KIND.find(request).id]
    return Answer(204, None)


ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/ssh_keys", _create),
    Endpoint("PUT", "/ssh_keys/{id}", _update),
    Endpoint("DELETE", "/ssh_keys/{id}", _delete),
)
