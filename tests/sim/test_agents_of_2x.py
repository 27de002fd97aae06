"""A cluster that was taken over from 2.x, whose agents have token and URL in their unit's environment alone."""

from __future__ import annotations

from hetzner_k3s.lab.simulated.hosts import config_file
from hetzner_k3s.lab.simulated.virtual_time import run

from .clusters import WORKER1, WORKER2, with_s3
from .scenarios_restore import LATEST, Restored, lose_all, snapshot_now
from .story import Story, healthy


def _as_2x_made_them(story: Story) -> None:
    for name in (WORKER1, WORKER2):
        disk = story.world.host(name).disk
        settings = config_file.read(disk.config or "")
        disk.agent_environment = {"K3S_TOKEN": str(settings["token"]), "K3S_URL": str(settings["server"])}
        disk.config = None


def test_all_masters_lost_the_token_is_found_on_a_worker_and_the_workers_find_back() -> None:
    async def tell() -> None:
        async with healthy(36, with_s3()) as story:
            _as_2x_made_them(story)
            snapshot_now(story)
            await lose_all(story)
            await Restored().check(story, await story.create(consents=LATEST))

    run(tell())
