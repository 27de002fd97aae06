"""Which volumes lie on one Node and nowhere else, by whatever label they are bound to it."""

from __future__ import annotations

import pytest

from hetzner_k3s.model.kubernetes.volumes import NAME, Requirement, Volume, labels_of, only_here

HERE = labels_of("here", {"zone": "a", "rack": "7"})
THERE = labels_of("there", {"zone": "a"})
NOTHING: frozenset[str] = frozenset()

BOUND_HERE = {
    "its host name": Requirement("kubernetes.io/hostname", "In", ("here",)),
    "its name": Requirement(NAME, "In", ("here",)),
    "a label with a value": Requirement("rack", "In", ("7", "8")),
    "a label that is there": Requirement("rack", "Exists"),
    "what others have": Requirement("kubernetes.io/hostname", "NotIn", ("there",)),
    "an operator that nobody knows": Requirement("rack", "Gt", ("3",)),
}
NOT_ONLY_HERE = {
    "a label that both have": Requirement("zone", "In", ("a",)),
    "another host name": Requirement("kubernetes.io/hostname", "In", ("there",)),
    "two host names": Requirement("kubernetes.io/hostname", "In", ("here", "there")),
    "a label that is missing": Requirement("rack", "DoesNotExist"),
}


@pytest.mark.parametrize("name", BOUND_HERE)
def test_a_volume_is_bound_to_one_node(name: str) -> None:
    volume = Volume(claim="default/data", terms=((BOUND_HERE[name],),))
    assert only_here([volume], HERE, [THERE], NOTHING) == ("default/data",)


@pytest.mark.parametrize("name", NOT_ONLY_HERE)
def test_a_volume_can_be_mounted_elsewhere(name: str) -> None:
    volume = Volume(claim="default/data", terms=((NOT_ONLY_HERE[name],),))
    assert only_here([volume], HERE, [THERE], NOTHING) == ()


def test_a_zone_without_another_node_binds_to_the_last_one() -> None:
    volume = Volume(claim="default/data", terms=((NOT_ONLY_HERE["a label that both have"],),))
    assert only_here([volume], HERE, [], NOTHING) == ("default/data",)


def test_any_term_is_enough_and_a_term_needs_all_of_its_requirements() -> None:
    both = (Requirement("zone", "In", ("a",)), Requirement("rack", "Exists"))
    assert only_here([Volume(claim="a/b", terms=(both,))], HERE, [THERE], NOTHING) == ("a/b",)
    either = ((both[0],), (both[1],))
    assert only_here([Volume(claim="a/b", terms=either)], HERE, [THERE], NOTHING) == ()


def test_a_path_without_affinity_counts_where_a_pod_mounts_it() -> None:
    volume = Volume(claim="a/b", on_disk=True)
    assert only_here([volume], HERE, [THERE], frozenset({"a/b"})) == ("a/b",)
    assert only_here([volume], HERE, [THERE], NOTHING) == ()
    assert only_here([Volume(claim="a/b")], HERE, [THERE], frozenset({"a/b"})) == ()


def test_of_a_node_that_is_gone_its_name_is_known() -> None:
    volume = Volume(claim="a/b", terms=((Requirement("kubernetes.io/hostname", "In", ("gone",)),),))
    assert only_here([volume], labels_of("gone", {}), [HERE, THERE], NOTHING) == ("a/b",)
