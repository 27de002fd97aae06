"""Tokens, birth records and how several carriers' records are joined."""

from __future__ import annotations

import hashlib

import pytest

from hetzner_k3s.model.identity import (
    BirthRecord,
    Phase,
    RecordConflict,
    merge_records,
    read_record,
    token_ca,
    token_hash,
    token_password,
)
from hetzner_k3s.model.text.documents import server_number

FULL = f"K10{'ab12' * 16}::server:pass:word"


def test_a_full_token_pins_the_ca_and_a_bare_password_does_not() -> None:
    assert token_ca(FULL) == "ab12" * 16
    assert token_ca("pass:word") is None


def test_full_and_bare_tokens_name_the_same_bootstrap_key() -> None:
    assert token_password(FULL) == token_password("pass:word") == "pass:word"
    assert token_hash(FULL) == token_hash("pass:word") == hashlib.sha256(b"pass:word").hexdigest()[:12]


def test_a_record_is_read_back_from_its_labels() -> None:
    record = BirthRecord(phase=Phase.BORN, seed=7, ca="ab", uid="u", lineage="l")
    assert read_record(record.labels()) == record
    assert read_record({}) == BirthRecord()
    assert read_record({"hetzner-k3s/phase": "bron", "hetzner-k3s/seed": "x"}) == BirthRecord()


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ((), None),
        ((None, Phase.BOOTSTRAPPING), Phase.BOOTSTRAPPING),
        ((Phase.BOOTSTRAPPING, Phase.BORN), Phase.BORN),
        ((Phase.DELETING, Phase.BORN), Phase.DELETING),
    ],
)
def test_the_later_phase_beats_the_earlier_one(phases: tuple[Phase | None, ...], expected: Phase | None) -> None:
    merged = merge_records(tuple(BirthRecord(phase=phase) for phase in phases))
    assert isinstance(merged, BirthRecord)
    assert merged.phase is expected


def test_what_one_carrier_lacks_another_one_tells() -> None:
    merged = merge_records((BirthRecord(phase=Phase.BORN, seed=7), BirthRecord(ca="ab", uid="u"), BirthRecord()))
    assert merged == BirthRecord(phase=Phase.BORN, seed=7, ca="ab", uid="u")


@pytest.mark.parametrize("field", ["seed", "ca", "uid", "lineage"])
def test_two_values_of_a_field_are_a_conflict(field: str) -> None:
    one = BirthRecord(phase=Phase.BORN, **{field: 1})  # type: ignore[arg-type]
    two = BirthRecord(phase=Phase.BORN, **{field: 2})  # type: ignore[arg-type]
    assert merge_records((one, two)) == RecordConflict(field, ("1", "2"))


@pytest.mark.parametrize("phase", [None, Phase.BOOTSTRAPPING, Phase.DELETING])
def test_before_a_birth_the_seed_that_was_written_first_is_the_newer_one(phase: Phase | None) -> None:
    merged = merge_records((BirthRecord(phase=phase, seed=2), BirthRecord(phase=Phase.BOOTSTRAPPING, seed=1)))
    assert isinstance(merged, BirthRecord)
    assert merged.seed == 2


@pytest.mark.parametrize("told", [BirthRecord(phase=Phase.BORN), BirthRecord(ca="ab"), BirthRecord(uid="u")])
def test_after_a_birth_two_seeds_are_two_births(told: BirthRecord) -> None:
    assert merge_records((BirthRecord(seed=2), BirthRecord(seed=1), told)) == RecordConflict("seed", ("1", "2"))


@pytest.mark.parametrize(
    ("record", "phase"),
    [
        (BirthRecord(ca="ab"), Phase.BORN),
        (BirthRecord(uid="u"), Phase.BORN),
        (BirthRecord(phase=Phase.BOOTSTRAPPING, ca="ab"), Phase.BORN),
        (BirthRecord(seed=7), Phase.BOOTSTRAPPING),
        (BirthRecord(lineage="l"), None),
    ],
)
def test_a_phase_whose_label_was_lost_is_told_by_the_rest(record: BirthRecord, phase: Phase | None) -> None:
    merged = merge_records((record,))
    assert isinstance(merged, BirthRecord)
    assert merged.phase is phase


def _of(lineage: str, parent: str | None = None) -> BirthRecord:
    return BirthRecord(phase=Phase.BORN, lineage=lineage, parent=parent)


def test_a_lineage_that_is_not_written_everywhere_yet_is_no_conflict() -> None:
    merged = merge_records((_of("aa"), _of("bb", "aa"), BirthRecord(), _of("aa")))
    assert merged == _of("bb", "aa")


def test_two_lineages_out_of_one_are_a_conflict() -> None:
    assert merge_records((_of("aa"), _of("bb", "aa"), _of("cc", "aa"))) == RecordConflict("lineage", ("bb", "cc"))


def test_a_grandchild_alone_does_not_explain_its_grandparent() -> None:
    assert merge_records((_of("aa"), _of("cc", "bb"))) == RecordConflict("lineage", ("aa", "cc"))


def test_a_record_with_a_parent_is_read_as_it_was_written() -> None:
    assert read_record(_of("bb", "aa").labels()) == _of("bb", "aa")


@pytest.mark.parametrize("noted", ["9" * 5000, "²", "-7", "٧", "7 "])
def test_a_seed_that_is_no_number_is_none(noted: str) -> None:
    assert server_number(noted) is None
