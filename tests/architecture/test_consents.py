"""A consent is one class: the command line, refusals and steps take its flag from there, and from nowhere else."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest

from hetzner_k3s.cli.commands.create import create
from hetzner_k3s.cli.commands.delete import delete
from hetzner_k3s.cli.commands.options import consent_options
from hetzner_k3s.cli.commands.plan import plan
from hetzner_k3s.decide import consents, gates
from hetzner_k3s.model import consents as model
from hetzner_k3s.model.consents import (
    KINDS,
    OF_DELETION,
    AcceptCa,
    Consent,
    Consents,
    Keep,
    NamingConsent,
    Prune,
    Replace,
    Restore,
    Surge,
)

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "hetzner_k3s"
HOME = SOURCE / "model" / "consents.py"
GENERATED = SOURCE / "cli" / "refusals.json"
START_GUARD = SOURCE / "hosts" / "scripts" / "start_guard.sh"
"""Runs on a host, as it is: it can take nothing from a class."""

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
of_deletion = pytest.mark.parametrize("kind", OF_DELETION, ids=lambda kind: kind.__name__)
every_flag = pytest.mark.parametrize("kind", [*KINDS, *OF_DELETION], ids=lambda kind: kind.__name__)


def _an_example(kind: type[Consent]) -> Consent:
    return kind.typed("7" if kind is Surge else "3f2a91bc") if issubclass(kind, NamingConsent) else kind()


def test_every_consent_is_listed() -> None:
    assert len(KINDS) == len(set(KINDS))
    classes = inspect.getmembers(model, inspect.isclass)
    written = {kind for name, kind in classes if issubclass(kind, Consent) and not name.startswith("_")}
    assert written == {*KINDS, *model.OF_DELETION, *model.BY_COMMAND, Consent, NamingConsent}


@every_kind
@pytest.mark.parametrize("command", [create, plan], ids=lambda command: command.name)
def test_every_consent_is_an_option(command: click.Command, kind: type[Consent]) -> None:
    (option,) = [param for param in command.params if kind.flag in param.opts]
    assert isinstance(option, click.Option)
    assert option.help == kind.help
    assert option.multiple is kind.repeatable
    assert option.metavar == (kind.metavar if issubclass(kind, NamingConsent) else None)


@of_deletion
def test_every_consent_to_a_deletion_is_an_option_of_delete(kind: type[Consent]) -> None:
    (option,) = [param for param in delete.params if kind.flag in param.opts]
    assert isinstance(option, click.Option)
    assert (option.help, option.is_flag) == (kind.help, True)


@every_kind
def test_a_consent_is_written_as_the_user_types_it(kind: type[Consent]) -> None:
    taken = []

    @click.command()
    @consent_options
    def command(consents: Consents) -> None:
        taken.append(consents)

    given = _an_example(kind)
    command.main(str(given).split(), standalone_mode=False)
    assert taken == [Consents.of(given)]


@every_flag
def test_a_flag_is_spelled_in_one_source_file(kind: type[Consent]) -> None:
    spelled = re.compile(rf"(?<![\w-]){re.escape(kind.flag)}(?![\w-])")
    files = [path for path in SOURCE.rglob("*") if path.is_file() and path.suffix != ".pyc" and path != GENERATED]
    assert {p for p in files if spelled.search(p.read_text(errors="replace"))} - {START_GUARD} == {HOME}


def test_the_start_guard_names_the_consent_as_it_is() -> None:
    assert f"hetzner-k3s create {Restore('...')}" in START_GUARD.read_text()


@every_flag
def test_every_consent_is_in_a_guide(kind: type[Consent]) -> None:
    guides = "\n".join(page.read_text() for page in (ROOT / "docs/guides").glob("*.md"))
    assert re.search(rf"(?<![\w-]){kind.flag}(?![\w-])", guides)


def test_every_consent_for_an_object_is_refused_where_it_does_not_fit() -> None:
    asked: tuple[object, ...] = (*consents.CHECKS, *gates.SERVING_GATES, *gates.UNSERVED_GATES)
    checked = {gate.kind for gate in asked if isinstance(gate, consents.Fits)}
    assert checked - {*model.BY_COMMAND} == {kind for kind in KINDS if issubclass(kind, NamingConsent)}


def test_two_objects_are_named_by_a_repeatable_consent_only() -> None:
    both = Consents.of(Replace("m2"), Replace("m1"), Prune())
    assert both.every(Replace) == (Replace("m1"), Replace("m2"))
    with pytest.raises(ValueError, match="--keep"):
        Consents.of(Keep("0a0a0a0a"), Keep("1b1b1b1b"), Prune())


def test_a_consent_that_is_added_takes_the_place_of_its_kind() -> None:
    given = Consents.of(Keep("0a0a0a0a"), Replace("m1"))
    assert given.adding(Keep("1b1b1b1b")).adding(Replace("m2")) == Consents.of(
        Keep("1b1b1b1b"), Replace("m1"), Replace("m2")
    )
    assert given.get(AcceptCa) is None
    assert given.without(Replace("m1"), Prune()) == Consents.of(Keep("0a0a0a0a"))
    assert Keep("0a0a0a0a") in given
    assert Keep("1b1b1b1b") not in given


@pytest.mark.parametrize("typed", ["0", "100", "-1", "01", "1.5", "two", "", " 1", "1\n", "١"])
def test_a_number_of_surge_servers_is_one_from_1_to_99(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a number from 1 to 99"):
        Surge.typed(typed)


def test_a_number_of_surge_servers_is_read() -> None:
    assert [Surge.typed(typed).number for typed in ("1", "10", "99")] == [1, 10, 99]
