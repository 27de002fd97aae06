"""A k3s server that runs on a host, as everybody else sees it."""

from __future__ import annotations

from typing import Any, Protocol

from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.setup.timing import Timing
from hetzner_k3s.lab.simulated.hosts.disk import Disk
from hetzner_k3s.lab.simulated.hosts.unit import Ground, Process
from hetzner_k3s.lab.simulated.site import Site


class Server(Process, Protocol):
    """One run of `k3s server`."""

    name: str
    address: str
    site: Site[Any]
    disk: Disk
    timing: Timing
    listening: bool
    serving: bool
    api_ready: bool
    removed: bool
    storage_at: float
    """When its API knows all that it stores."""
    passwords: dict[str, tuple[str, str]]
    description: dict[str, Any]
    """Its configuration, as it tells other servers."""
    etcd: ModelEtcd | None
    store: Store | None

    @property
    def host(self) -> Ground:
        """Return where it runs."""
        ...

    def member(self) -> ModelEtcd:
        """Return its etcd.

        Raises:
            EtcdUnavailable: it has none yet.
        """
        ...

    def log(self, text: str, level: str = "info") -> None:
        """Write a line to the journal."""
        ...

    def exit(self, why: str) -> None:
        """End it as if by itself; systemd starts it again."""
        ...
