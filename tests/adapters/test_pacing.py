"""How the pauses between two looks at Hetzner grow, and what a listing is narrowed to."""

from __future__ import annotations

import pytest

from hetzner_k3s.adapters.hetzner import pacing
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import ServerOrder


def order(cluster: str | None) -> ServerOrder:
    return ServerOrder(
        name="prod-master1",
        server_type="cpx22",
        image="debian-12",
        location="fsn1",
        labels={naming.LABEL_CLUSTER: cluster} if cluster else {},
        ssh_key=1,
        network=2,
        placement_group=None,
        user_data="",
        ipv4=True,
        ipv6=False,
    )


def test_a_pause_grows_and_ends_growing() -> None:
    pauses = [pacing.first_pause(0.0)]
    while (following := pacing.longer(pauses[-1])) != pauses[-1]:
        pauses.append(following)
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0


@pytest.mark.parametrize(
    ("left", "pause"), [([], 1.0), ([5.0, 2.0], 1.0), ([5.0, 0.25], 0.25), ([0.0], 0.0), ([3.0, -0.5], 0.0)]
)
def test_nobody_sleeps_past_a_look_nor_for_long(left: list[float], pause: float) -> None:
    assert pacing.until_look(left) == pause


@pytest.mark.parametrize(
    ("age", "awaited", "pause"),
    [(0.0, 1, 1.0), (10.0, 1, 2.0), (100.0, 1, 3.2), (100.0, 100, 20.0), (200.0, 100, 23.0)],
)
def test_the_longer_one_waits_and_the_more_there_are_the_rarer_are_the_looks(
    age: float, awaited: int, pause: float
) -> None:
    assert pacing.next_look(age, awaited, watched=False) == pytest.approx(pause)


@pytest.mark.parametrize("age", [0.0, 10.0, 100.0])
@pytest.mark.parametrize(("awaited", "pause"), [(1, 61.0), (100, 160.0)])
def test_who_is_watched_is_looked_at_seldom(age: float, awaited: int, pause: float) -> None:
    assert pacing.next_look(age, awaited, watched=True) == pause
    assert pacing.between_looks(awaited, watched=True) == pause
    assert pacing.first_look(watched=True) > pacing.first_look(watched=False)


@pytest.mark.parametrize(("awaited", "seconds"), [(1, 0.05), (100, 5.0), (1000, 5.0)])
def test_of_many_that_come_one_listing_tells(awaited: int, seconds: float) -> None:
    assert pacing.between_looks(awaited, watched=False) == pytest.approx(seconds)


def test_a_listing_is_narrowed_where_all_orders_are_for_one_cluster() -> None:
    one = {"label_selector": naming.cluster_selector("prod")}
    assert pacing.narrowed([order("prod"), order("prod")]) == one
    assert pacing.narrowed([order("prod"), order("test")]) == {}
    assert pacing.narrowed([order(None)]) == {}
