"""The errors of the product and the exit codes they end in.

ProductError                    hint, exit_code
├── CloudError                  code, correlation_id, fate
│   ├── CloudRefused            credentials, quota, read-only token, no capacity
│   │   └── OrderRefused        what the file asks for is nothing that Hetzner sells
│   ├── CloudConflict           the name is taken
│   └── CloudUnavailable        time-outs, 5xx, rate limit after the budget
├── HostError                   server, fate
│   ├── HostUnreachable         stage: tcp, host key, authentication, session
│   ├── HostBusy                another operation runs on the host
│   ├── OperationFailed         operation, message
│   └── PreconditionChanged     the world moved between decision and act
├── KubeError                   server, fate
├── StorageError                fate
├── LockHeld                    another run holds the operator lock
├── NameTaken                   a resource of another owner has a name that the cluster needs
├── NoRoomForLock               the project holds as many placement groups as it may
├── WrongCluster                a master or a kubeconfig is not of the cluster that the record names
├── LockLost                    this run lost it
├── UnusableKey                 the operator's own SSH key
├── DamagedRescue               a copy of a host's data does not match its checksums
└── DeadlineExceeded            what was waited for
"""

from __future__ import annotations

from enum import Enum, IntEnum

from hetzner_k3s.model.text.printable import printable


class ExitCode(IntEnum):
    """What a command's exit status means (docs/architecture.md#exit-codes)."""

    CONVERGED = 0
    FAILED = 1
    USAGE = 2
    PENDING = 3
    REFUSED = 4
    CLOUD_REFUSED = 5
    BUG = 70
    INTERRUPTED = 130


class Fate(Enum):
    """Whether a failed effect may have happened all the same (docs/architecture.md#law-6)."""

    DID_NOT_HAPPEN = "did not happen"
    MAY_HAVE_HAPPENED = "may have happened"


class SshStage(Enum):
    """Where an SSH connection failed."""

    TCP = "no answer"
    HOST_KEY = "host key"
    AUTH = "authentication"
    SESSION = "session"
    ANSWER = "unreadable answer"
    """It let us in, and what it answered to a look is of no use."""


NO_CAPACITY = frozenset({"resource_unavailable", "placement_error"})
"""Hetzner's codes for having no machine of a type, or none on other hardware (docs/facts/hetzner-api.md#errors)."""


class ProductError(Exception):
    """An error a person reads: the message says what was seen, `hint` what can be done.

    Either may quote a host or an API, so both become one printable line.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(printable(message))
        self.hint = printable(hint)


class LocalTrouble(ProductError):
    """This machine does not let the run do what it has to: a full disk, a file of another user, a missing package."""

    exit_code = ExitCode.USAGE


class CloudError(ProductError):
    """The Hetzner API did not do what was asked."""

    def __init__(self, message: str, *, code: str, correlation_id: str = "", fate: Fate, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.correlation_id = correlation_id
        self.fate = fate


class CloudRefused(CloudError):
    """Hetzner understood and said no: credentials, quota, read-only token."""

    exit_code = ExitCode.CLOUD_REFUSED


class OrderRefused(CloudRefused):
    """Hetzner does not know the server type, image or location of an order."""

    exit_code = ExitCode.FAILED


class CloudConflict(CloudError):
    """The name is taken, or the resource is locked by a running action."""


class CloudUnavailable(CloudError):
    """No usable answer: time-out, 5xx, no capacity, rate limit after the retry budget."""

    @property
    def out_of_stock(self) -> bool:
        """Check whether Hetzner has no such server now: asking again at once does not help."""
        return self.code in NO_CAPACITY


class HostError(ProductError):
    """A host did not do what was asked; `server` is its name."""

    def __init__(self, message: str, *, server: str, fate: Fate, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.server = server
        self.fate = fate


class HostUnreachable(HostError):
    """No verified SSH session; nothing was sent beyond `stage`. `why` is the message without the host's name."""

    def __init__(
        self, message: str, *, server: str, stage: SshStage, fate: Fate, why: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, server=server, fate=fate, hint=hint)
        self.stage = stage
        self.why = printable(why or message)


class HostBusy(HostError):
    """Another mutating operation runs on the host and did not end in time, so ours was not begun."""

    def __init__(self, message: str, *, server: str) -> None:
        super().__init__(message, server=server, fate=Fate.DID_NOT_HAPPEN, hint="Run the command again.")


class OperationFailed(HostError):
    """A host operation ran and failed; the message carries its own words."""

    def __init__(self, message: str, *, server: str, operation: str, fate: Fate) -> None:
        super().__init__(message, server=server, fate=fate)
        self.operation = operation


class PreconditionChanged(HostError):
    """The host saw another world than the decision was made on, so it did nothing."""

    def __init__(self, message: str, *, server: str) -> None:
        super().__init__(message, server=server, fate=Fate.DID_NOT_HAPPEN, hint="Run the command again.")


class KubeError(ProductError):
    """A Kubernetes API call failed; `server` is the master it went to."""

    def __init__(self, message: str, *, server: str, fate: Fate) -> None:
        super().__init__(message)
        self.server = server
        self.fate = fate


class StorageError(ProductError):
    """The S3 service did not do what was asked; `fate` says whether an effect may have happened."""

    def __init__(self, message: str, *, fate: Fate = Fate.DID_NOT_HAPPEN, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.fate = fate


class LockHeld(ProductError):
    """Another run works on this cluster."""

    exit_code = ExitCode.REFUSED


class NameTaken(ProductError):
    """A resource that is not the cluster's has a name that the cluster needs."""

    exit_code = ExitCode.REFUSED


class NoRoomForLock(ProductError):
    """The operator lock cannot be made, so nothing was changed."""

    exit_code = ExitCode.REFUSED


class WrongCluster(ProductError):
    """Something answered for another cluster than the birth record names, so it was handed nothing."""

    exit_code = ExitCode.REFUSED


class DamagedRescue(ProductError):
    """A copy of a host's data is not what the host sent."""


class UnusableKey(ProductError):
    """The operator's own SSH key cannot be used on this machine, whatever the hosts are like."""


class LockLost(ProductError):
    """Another run took the operator lock over, so this one starts no further step."""


class DrainRefused(ProductError):
    """A Node cannot be emptied without a loss, or was not in time."""


class DeadlineExceeded(ProductError):
    """Something that was waited for did not come in time."""


def code_of(error: Exception) -> ExitCode:
    """Return the exit code that an error ends in, as far as it is one of ours."""
    return error.exit_code if isinstance(error, ProductError) else ExitCode.BUG
