"""`--accept-ca`, also when the run that was given it is cut off between two labels."""

from __future__ import annotations

import pytest

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import AcceptCa, Consents
from hetzner_k3s.model.errors import ExitCode

from . import mischief, story
from .clusters import MASTER1
from .story import Story
from .tool import Run


async def _accept(cluster: Story, ca: str, kill_at: int | None = None) -> Run:
    return await cluster.create(kill_at=kill_at, consents=Consents.of(AcceptCa(ca[:8])))


def _recorded(cluster: Story) -> set[str]:
    project = cluster.world.project
    carriers = [*project.servers.values(), *project.networks.values(), *project.placement_groups.values()]
    return {labels[naming.LABEL_CA] for c in carriers if naming.LABEL_CA in (labels := dict(c.labels))}


@pytest.mark.parametrize("kill_at", [None, 2, 4, 6])
def test_a_rotated_ca_is_recorded_with_the_flag_alone(kill_at: int | None) -> None:
    async def tell() -> None:
        async with story.healthy(11) as cluster:
            await mischief.rotate_ca(cluster.world)
            ca = tokens.ca_hash(cluster.world.host(MASTER1).disk.server_ca or b"")
            refused = await cluster.create()
            assert "identity.other" in refused.refused, refused.story()
            assert f"--accept-ca {ca[:8]}" in refused.told.refusals[0].you_can
            if kill_at is not None:
                assert (await _accept(cluster, ca, kill_at)).code is None
            accepted = await _accept(cluster, ca)
            assert accepted.code is ExitCode.CONVERGED, accepted.story()
            assert _recorded(cluster) == {ca[: naming.CA_LABEL_DIGITS]}
            assert {verb for verb, _ in accepted.told.steps} <= {
                "RecordBirth",
                "WriteKubeconfig",
                "RenewToken",
                "PinCa",
                "KeepTokens",
            }
            assert not (await _accept(cluster, ca)).writes

    run(tell())
