"""Consents on the command line: each names its object exactly, or nothing is looked at."""

from __future__ import annotations

import click
import pytest

from hetzner_k3s.cli.commands.options import consent_options
from hetzner_k3s.model.consents import (
    AcceptCa,
    Consents,
    Keep,
    NewClusterOver,
    Prune,
    Replace,
    ResetQuorumFrom,
    Restore,
    SkipAddressCheck,
)

from .conftest import Invoke


@pytest.mark.parametrize("digits", ["3f2a", "3f2a91bcd", "not-hexa", ""])
def test_a_ca_is_named_by_exactly_eight_digits(invoke: Invoke, digits: str) -> None:
    ended = invoke("plan", "-c", "cluster.yaml", "--accept-ca", digits)
    assert ended.code == 2
    assert "first eight digits" in ended.err


def test_eight_digits_in_any_case_are_taken(invoke: Invoke) -> None:
    ended = invoke("plan", "-c", "there-is-none.yaml", "--accept-ca", "3F2A91BC")
    assert "first eight digits" not in ended.err


@pytest.mark.parametrize("command", [["create"], ["plan"], ["replace", "worker1"]], ids=" ".join)
@pytest.mark.parametrize("number", ["0", "100", "1.5", "many"])
def test_a_number_of_surge_servers_is_a_number(invoke: Invoke, command: list[str], number: str) -> None:
    ended = invoke(*command, "-c", "cluster.yaml", "--surge", number)
    assert ended.code == 2
    assert "is not a number from 1 to 99" in ended.err


_ALL = ("--replace", "m1", "--replace", "m2", "--accept-ca", "3F2A91BC", "--prune", "--reset-quorum-from", "m3")
_MORE = ("--keep", "0a0a0a0a", "--restore", "latest", "--new-cluster-over", "1b1b1b1b", "--skip-current-ip-validation")


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ((), Consents()),
        (
            (*_ALL, *_MORE),
            Consents.of(
                Replace("m1"),
                Replace("m2"),
                ResetQuorumFrom("m3"),
                Restore("latest"),
                NewClusterOver("1b1b1b1b"),
                AcceptCa("3f2a91bc"),
                Keep("0a0a0a0a"),
                Prune(),
                SkipAddressCheck(),
            ),
        ),
    ],
)
def test_a_flag_is_the_consent_of_its_name(arguments: tuple[str, ...], given: Consents) -> None:
    taken = []

    @click.command()
    @consent_options
    def command(consents: Consents) -> None:
        taken.append(consents)

    command.main(list(arguments), standalone_mode=False)
    assert taken == [given]
