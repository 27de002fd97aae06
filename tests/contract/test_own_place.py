"""What Hetzner's answers tell of this machine's place: whose tokens open the project, how far its clock is off."""

from __future__ import annotations

import pytest

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.model.kube import TokenGrant
from hetzner_k3s.model.secrets import Secret

from .running_lab import OTHER_TOKEN, TOKEN, Lab, SeededRng
from .test_hetzner_adapter import HastyClock, cloud_of, run


def test_what_another_token_opens_is_asked_of_hetzner(lab: Lab) -> None:
    async def story() -> None:
        cloud = cloud_of(lab)
        firewall = await cloud.create_firewall("demo", (), "cluster=demo", {})
        lab.cloud.grant("a-colleagues", "main")
        grants = {
            token: await cloud.grant_of(Secret(token), firewall.id) for token in ("a-colleagues", OTHER_TOKEN, "w" * 64)
        }
        assert grants == {
            "a-colleagues": TokenGrant.CLUSTERS_PROJECT,
            OTHER_TOKEN: TokenGrant.OTHER_PROJECT,
            "w" * 64: TokenGrant.NOTHING,
        }

    run(story())


class LateClock(HastyClock):
    """A clock that is a day behind."""

    def now(self) -> float:
        return super().now() - 86_400


def test_how_far_this_machines_clock_is_off_is_told_by_hetzners_answers(lab: Lab) -> None:
    right = run(cloud_of(lab).survey())
    late = run(HetznerCloud(Secret(TOKEN), clock=LateClock(), rng=SeededRng(7), endpoint=lab.api).survey())
    assert right.ahead == pytest.approx(0.0, abs=2)
    assert late.ahead == pytest.approx(86_400, abs=2)
