"""`k3s server --cluster-reset`: forget all other members, or start from a snapshot (runs/12.log, runs/13.log)."""

from __future__ import annotations

import asyncio
import shutil
import time
import zipfile
from pathlib import Path

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.etcd import bolt
from hetzner_k3s.lab.k3s.etcd.port import Launch
from hetzner_k3s.lab.k3s.etcd.real import RealEtcd, Settings
from hetzner_k3s.lab.k3s.logfmt import Fatal, ShutdownRequested
from hetzner_k3s.lab.k3s.serving import joining, preparation
from hetzner_k3s.lab.k3s.serving.preparation import Preparation
from hetzner_k3s.lab.k3s.serving.s3 import Bucket
from hetzner_k3s.lab.k3s.serving.startup import Start
from hetzner_k3s.lab.k3s.serving.supervisor import save_bootstrap
from hetzner_k3s.lab.k3s.setup import identity
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.setup.paths import Layout, directory, write
from hetzner_k3s.lab.k3s.setup.timing import Timing
from hetzner_k3s.lab.k3s.trust import bootstrap, pki

DONE = (
    "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. "
    "Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes"
)


class Reset:
    """One run with `--cluster-reset`.

    Args:
        flags, layout, timing: configuration, files, latency profile.
    """

    def __init__(self, flags: Flags, layout: Layout, timing: Timing) -> None:
        self._flags, self._layout, self._timing = flags, layout, timing
        self._who = identity.of_host(flags)
        self._settings = Settings(layout, self._who.address, False, timing.heartbeat_ms, timing.election_ms)

    async def run(self) -> None:
        """Reset, then end.

        Raises:
            ShutdownRequested: always at the end; the text says whether it worked (exit code 0 either way).
            Fatal: it could not begin.
        """
        preparation.decide(self._flags, self._layout)
        restore = self._flags.text("cluster-reset-restore-path")
        snapshot = self._snapshot(restore) if restore else None
        token = identity.server_token(self._flags, self._layout)
        had_data = self._layout.wal.is_dir() or snapshot is not None
        preparing = Preparation(self._flags, self._layout, self._who, 0)
        await preparing.run(Start.RESET)
        pki.write_tokens(self._layout, token.password)
        name = identity.new_member_name(self._who.name)
        if snapshot is not None:
            await self._restore(snapshot, name)
        if had_data:
            self._adopt_authorities(token.password)
        await preparing.run(Start.RESET)
        pki.write_tokens(self._layout, token.password)
        await self._become_only_member(name, token.password, fresh=snapshot is None)
        raise ShutdownRequested(DONE)

    def _snapshot(self, path: str) -> Path:
        if (bucket := Bucket.of(self._flags)) is not None:
            directory(self._layout.snapshots)
            bucket.fetch(path, self._layout.snapshots / Path(path).name)
        found = next((file for file in (Path(path), self._layout.snapshots / path) if file.is_file()), None)
        if found is None:
            raise Fatal(
                "Error: starting kubernetes: failed to start cluster: start managed database: "
                f"etcd: snapshot path does not exist: {path}"
            )
        if identity.configured_token(self._flags) is None and not self._layout.token.exists():
            raise Fatal(f"Error: {self._layout.token} does not exist, please pass --token to complete the restoration")
        return _unpacked(found, self._layout.snapshots)

    async def _restore(self, snapshot: Path, name: str) -> None:
        """Make a one-member data directory of a snapshot; its cluster id is new."""
        if self._layout.etcd.exists():
            aside = self._layout.db / f"etcd-old-{int(time.time())}"
            self._layout.etcd.rename(aside)
            logfmt.info(f"Pre-restore etcd database moved to {aside}")
        url = f"https://{self._who.address}:2380"
        process = await asyncio.create_subprocess_exec(
            "etcdutl",
            *("snapshot", "restore", str(snapshot), "--data-dir", str(self._layout.etcd), "--name", name),
            *("--initial-cluster", f"{name}={url}", "--initial-advertise-peer-urls", url),
            *("--initial-cluster-token", f"etcd-cluster-{int(time.time())}"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        if await process.wait():
            raise Fatal(
                "Error: starting kubernetes: failed to start cluster: start managed database: etcd: failed to restore"
            )

    def _adopt_authorities(self, password: str) -> None:
        entries = bolt.keys(self._layout.backend, "/bootstrap/")
        if not entries:
            return
        try:
            stored = bootstrap.from_store(entries, password)
        except bootstrap.BootstrapError as problem:
            write(self._layout.reset_flag, "")
            raise ShutdownRequested(f"failed to save bootstrap data: {problem}") from problem
        backup = self._layout.server / f"tls-{int(time.time())}"
        logfmt.info(f"Cluster reset: backing up certificates directory to {backup}")
        shutil.copytree(self._layout.tls, backup, dirs_exist_ok=True)
        logfmt.warning("Updating bootstrap data on disk from datastore")
        bootstrap.install(self._layout, stored)

    async def _become_only_member(self, name: str, password: str, *, fresh: bool) -> None:
        logfmt.info("Starting etcd for new cluster, cluster-reset=true")
        etcd = RealEtcd(self._settings)
        try:
            peers = () if fresh and self._layout.wal.is_dir() else (f"{name}=https://{self._who.address}:2380",)
            await etcd.start(Launch(name, peers, force_new=fresh))
            await joining.wait_for_voter(etcd, self._timing, joining=False)
            await save_bootstrap(Store(etcd), self._layout, password)
        finally:
            await etcd.stop()
        directory(self._layout.db)
        write(self._layout.reset_flag, "")


def _unpacked(snapshot: Path, folder: Path) -> Path:
    """Return a snapshot as etcd reads it.

    K3s unpacks what it packed with --etcd-snapshot-compress, by the name alone.
    """
    if snapshot.suffix != ".zip":
        return snapshot
    directory(folder)
    plain = folder / f".{snapshot.stem}.unpacked"
    with zipfile.ZipFile(snapshot) as archive, archive.open(archive.namelist()[0]) as packed, plain.open("wb") as file:
        shutil.copyfileobj(packed, file)
    return plain
