"""Consents on the command line: each names its object exactly, or nothing is looked at."""

from __future__ import annotations

import pytest

from .conftest import Invoke


@pytest.mark.parametrize("digits", ["3f2a", "3f2a91bcd", "not-hexa", ""])
def test_a_ca_is_named_by_exactly_eight_digits(invoke: Invoke, digits: str) -> None:
    ended = invoke("plan", "-c", "cluster.yaml", "--accept-ca", digits)
    assert ended.code == 2
    assert "first eight digits" in ended.err


def test_eight_digits_in_any_case_are_taken(invoke: Invoke) -> None:
    ended = invoke("plan", "-c", "there-is-none.yaml", "--accept-ca", "3F2A91BC")
    assert "first eight digits" not in ended.err
