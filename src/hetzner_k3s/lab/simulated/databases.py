"""External databases of a simulated site: each a store outside all hosts, that k3s servers may keep their data in."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.model_peers import Drive, Peers
from hetzner_k3s.lab.k3s.etcd.port import EtcdUnavailable, Launch

_NAME = "database"


class Database:
    """One database. What k3s speaks to it is etcd's language (kine), so inside it is an etcd of one member.

    Args:
        peers: the world of etcd members; it reaches none of them.
        place: where it is; two databases never share one.
    """

    def __init__(self, peers: Peers, place: str) -> None:
        self._peers, self._place, self._drive = peers, f"{_NAME} {place}", Drive()
        self._running: ModelEtcd | None = None
        self.down = False

    async def connect(self) -> ModelEtcd:
        """Return what answers.

        Raises:
            EtcdUnavailable: nobody does.
        """
        if self._running is None and not self.down:
            self._running = ModelEtcd(self._peers, self._place, self._place, self._drive)
            await self._running.start(Launch(_NAME))
        return self.kv()

    def kv(self) -> ModelEtcd:
        """Return what answers to those that are connected.

        Raises:
            EtcdUnavailable: nobody does.
        """
        if self._running is None or self.down:
            raise EtcdUnavailable("connection refused")
        return self._running

    async def stop(self) -> None:
        """Let it answer nobody; its data stays."""
        self.down = True
        if self._running is not None:
            await self._running.stop()
            self._running = None

    def start(self) -> None:
        """Let it answer again, with what it held before."""
        self.down = False

    def wipe(self) -> None:
        """Lose what it holds; asked for only while it is down."""
        self._drive.data = None
