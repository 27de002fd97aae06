"""Snapshots as files in a story: saved on a master's disk, and backups on the laptop that `--restore PATH` names."""

from __future__ import annotations

import hashlib

from hetzner_k3s.lab.simulated.faults import DatabaseDeleted
from hetzner_k3s.lab.simulated.hosts import config_file, snapshot_files
from hetzner_k3s.lab.simulated.k3s import saving
from hetzner_k3s.model.consents import Consents, Restore
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import GivenFile

from .scenarios_restore import write_later
from .story import Story
from .test_backup import backup

PATH = "/backups/monday"
FROM_PATH = Consents.of(Restore(PATH))


async def back_up(story: Story) -> None:
    """Write a backup onto the laptop, as `--restore PATH` finds it, and then something that it does not have."""
    written = await backup(story)
    for host in story.world.site.hosts.values():
        host.disk.fence = 0  # the backup's lock is of another story
    name = next(name for name in written if name.startswith("backup-"))
    name_file(story, name, written[name])
    story.world.laptop.tokens = [Secret(written[name].decode()) for name in ("token", "agent-token") if name in written]
    await write_later(story)


def name_file(story: Story, name: str, content: bytes) -> None:
    """Have the user name a file."""
    backend = snapshot_files.decode(content)
    file = GivenFile(
        given=Restore(PATH),
        name=name,
        size=len(content),
        created=story.world.clock.now(),
        sha256=hashlib.sha256(content).hexdigest(),
        cluster_uid=snapshot_files.uid_of(backend) if backend else None,
        token_hashes=snapshot_files.tokens_of(backend) if backend else (),
    )
    story.world.laptop.snapshot = (file, content)


def save_on(story: Story, name: str) -> str:
    """Have a master save a snapshot on its disk, as its schedule does; gives the file's name."""
    server = story.world.host(name).server
    assert server is not None
    return saving.save(server, config_file.flags("server", server.disk.config), saving.SCHEDULED).name


async def lose_databases(story: Story, *masters: str) -> None:
    """Delete every master's etcd, at once, so that none can join another; their snapshots stay."""
    kept = {name: dict(story.world.host(name).disk.snapshots) for name in masters}
    for name in masters:
        for unit in story.world.host(name).units.values():
            unit.stop()
    await story.happens(*(DatabaseDeleted(name) for name in masters))
    for name, files in kept.items():
        story.world.host(name).disk.snapshots.update(files)
