"""k3s release tags and their order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_k3s.model.version import K3sVersion

IN_ORDER = [
    "v1.9.9+k3s1",
    "v1.10.0-rc1+k3s1",
    "v1.10.0+k3s1",
    "v1.10.0-rc1+k3s2",
    "v1.10.0-rc2+k3s2",
    "v1.10.0+k3s2",
    "v1.10.0+k3s10",
    "v1.36.2+k3s1",
    "v1.36.3+k3s1",
    "v2.0.0+k3s1",
]


def test_order() -> None:
    versions = [K3sVersion.parse(tag) for tag in IN_ORDER]
    assert sorted([*versions[5:], *versions[:5]]) == versions
    assert all(a < b and b > a and a <= b and a != b for a, b in itertools.pairwise(versions))


@given(numbers=st.tuples(*[st.integers(0, 99)] * 4), candidate=st.none() | st.integers(1, 9))
def test_what_is_printed_can_be_read(numbers: tuple[int, int, int, int], candidate: int | None) -> None:
    version = K3sVersion(*numbers, candidate)
    assert K3sVersion.parse(str(version)) == version


@pytest.mark.parametrize(
    "tag", ["", "1.36.3+k3s1", "v1.36.3", "v1.36+k3s1", "v1.36.3+k3s1 ", "v1.36.3+k3s1\n", "latest"]
)
def test_other_texts_are_no_release(tag: str) -> None:
    with pytest.raises(ValueError, match="is not a k3s release"):
        K3sVersion.parse(tag)


def test_a_version_is_not_compared_with_what_is_none() -> None:
    with pytest.raises(TypeError):
        _ = K3sVersion.parse("v1.36.3+k3s1") < "v1.36.3+k3s1"
