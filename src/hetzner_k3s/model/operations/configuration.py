"""What is put in place on a host, and what its k3s is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from hetzner_k3s.model.operations.operation import Done, K3sRole, Operation
from hetzner_k3s.model.secrets import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateHostKey(Operation[Done]):
    """Install another SSH host key (OpenSSH private key text) and have sshd use it for new connections."""

    mutating: ClassVar[bool] = True
    boot_key_suffices: ClassVar[bool] = True
    private_key: Secret
    public_key: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Install(Operation[Done]):
    """Put the k3s binary of `version` (checksum verified), the unit, its start guard and `registries.yaml` in place.

    Idempotent; waits for the download that cloud-init started. Nothing is started. `registries` is the text of
    registries.yaml, which may hold passwords; None leaves the file as it is.
    """

    mutating: ClassVar[bool] = True
    role: K3sRole
    version: str
    registries: str | None = field(repr=False)
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageK3s(Operation[Done]):
    """Have the k3s binary of `version` lie ready beside the installed one, its checksum verified; nothing starts."""

    mutating: ClassVar[bool] = True
    version: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TidyK3s(Operation[Done]):
    """Remove what earlier releases of k3s unpacked on a host, as far as nothing runs from it any more."""

    mutating: ClassVar[bool] = True
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConfig(Operation[Done]):
    """Write `/etc/rancher/k3s/config.yaml` (0600, atomically). Nothing is started or restarted."""

    mutating: ClassVar[bool] = True
    config: Secret
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconfigure(Operation[Done]):
    """Stop k3s, write `config.yaml` and `registries.yaml`, put a release in place, and start it anew: in that order, so
    that what lies on the disk is what runs, whenever it is cut off.

    `members` are the ids of the etcd members that were decided on. A server whose etcd is well is stopped only while
    the list is that one, without a learner, and all its peers are connected: else `precondition_changed`.
    `registries` may hold passwords. The release of `version` has to lie ready (StageK3s); None leaves the one there is.
    """

    mutating: ClassVar[bool] = True
    role: K3sRole
    version: str | None
    config: Secret
    registries: Secret
    members: tuple[str, ...]
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointToServer(Operation[Done]):
    """Set the `server:` line of an existing `config.yaml`, and leave every other line alone. Nothing is restarted."""

    mutating: ClassVar[bool] = True
    url: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetToken(Operation[Done]):
    """Set the `token:` line of an existing `config.yaml` (0600), and leave every other line alone.

    Nothing is restarted. With `revive` the k3s of a master that cannot start for want of that token loses its stale
    password file and is started; one that runs is left alone (precondition_changed).
    """

    mutating: ClassVar[bool] = True
    token: Secret
    revive: bool
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCaPin(Operation[Done]):
    """Let the token in a worker's configuration pin the CA that followed `before`; its password stays.

    With `restart` an agent that waits for want of it is started anew; an active one is not (precondition_changed).
    """

    mutating: ClassVar[bool] = True
    before: str
    ca: str
    restart: bool
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectAgent(Operation[Done]):
    """Write the master at `url` into an agent's configuration and start it anew; its pods go on.

    `known` are the addresses with port of the masters that it must know: one may have been learned of meanwhile. It is
    one operation, since an agent that was not started anew knows its masters of before.
    """

    mutating: ClassVar[bool] = True
    url: str
    known: tuple[str, ...]
    fence: int
