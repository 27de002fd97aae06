"""Consents on the command line: each names its object exactly, or nothing is looked at."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from tests.decide.world import SPEC

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import consent_options
from hetzner_k3s.cli.commands.replace import _consents
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model.consents import (
    AcceptCa,
    Consent,
    Consents,
    DeleteLocalData,
    Keep,
    MakeAnew,
    NewClusterOver,
    Prune,
    Replace,
    ResetQuorumFrom,
    Restore,
    SkipAddressCheck,
    Surge,
)

from .conftest import CLUSTER, Invoke


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


@pytest.mark.parametrize(
    ("typed", "local_data", "surge", "given"),
    [
        ("prod-master1", False, None, (MakeAnew("prod-master1"), Replace("prod-master1"))),
        ("master1", True, None, (MakeAnew("prod-master1"), Replace("prod-master1"), DeleteLocalData())),
        ("pool-small-worker1", False, None, (MakeAnew("prod-pool-small-worker1"),)),
        ("prod-pool-small-worker1", True, "2", (MakeAnew("prod-pool-small-worker1"), DeleteLocalData(), Surge("2"))),
        ("nobody", False, None, (MakeAnew("nobody"),)),
    ],
)
def test_replace_permits_what_it_was_told_and_no_more(
    typed: str, local_data: bool, surge: str | None, given: tuple[Consent, ...]
) -> None:
    assert _consents(SPEC, typed, local_data=local_data, surge=surge) == Consents.of(*given)


@pytest.mark.parametrize(
    "command",
    [
        ("create", "--reset-quorum-from", "prod-master1"),
        ("replace", "master1"),
        ("upgrade", "--new-k3s-version", "v1.36.4+k3s1"),
    ],
    ids=" ".join,
)
def test_what_a_command_permits_reaches_the_run(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Where there is no cluster it fits nothing, and is refused; without it a cluster would be bought."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    (home / "cluster.yaml").write_text(CLUSTER)
    with wiring.simulation(7, "instant") as place:
        ended = invoke(*command, "-c", "cluster.yaml")
        assert (ended.code, place.world.project.servers) == (4, {})
    assert "code: consent.unfit" in ended.err


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
