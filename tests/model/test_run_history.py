"""The cluster's own history of its runs: what is added to it, what goes, and what is read of whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.kubernetes.run_history import (
    KEPT,
    LONGEST_ENTRY,
    PastRun,
    RunHistory,
    outcome_of,
    read_history,
    with_run,
)

RUN = PastRun(run="ab12", who="eva@laptop", began=1.8e9, command="create --prune", code=0, seconds=312.4)
ENTRY = {
    "when": "2027-01-15T08:00:00Z",
    "who": "eva@laptop",
    "command": "create --prune",
    "outcome": "done",
    "exit_code": 0,
    "seconds": 312.4,
}
LARGE = settings(max_examples=100, deadline=None)


def a_run(number: int) -> PastRun:
    return PastRun(run=f"run{number}", who="eva", began=1.8e9 + number, command="create", code=0, seconds=1.0)


def written(*runs: PastRun, start: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the data after each of these runs was added to it."""
    data = dict(start or {})
    for run in runs:
        for key, value in with_run(data, run).items():
            if value is None:
                del data[key]
            else:
                data[key] = value
    return data


def entry(**changed: object) -> str:
    return json.dumps({**ENTRY, **changed})


def test_a_run_is_written_for_people_and_read_again() -> None:
    data = written(RUN)
    assert {key: json.loads(value) for key, value in data.items()} == {"ab12": ENTRY}
    assert read_history(data) == RunHistory((RUN,), 0)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (ExitCode.CONVERGED, "done"),
        (ExitCode.FAILED, "failed"),
        (ExitCode.PENDING, "done, changes left"),
        (ExitCode.REFUSED, "refused"),
        (ExitCode.INTERRUPTED, "interrupted"),
        (200, "failed"),
    ],
)
def test_an_exit_code_has_its_words(code: int, words: str) -> None:
    assert outcome_of(code) == words


def test_the_newest_fifty_are_kept() -> None:
    data = written(*map(a_run, range(KEPT + 7)))
    assert [run.run for run in read_history(data).runs] == [f"run{number}" for number in reversed(range(7, KEPT + 7))]
    assert len(data) == KEPT


def test_a_run_that_is_noted_again_is_there_once() -> None:
    """Its first answer was lost, or the API was asked again after a conflict."""
    data = written(*map(a_run, range(KEPT)), a_run(KEPT - 1))
    assert len(read_history(data).runs) == KEPT


def test_a_run_of_a_clock_that_is_behind_is_noted_all_the_same() -> None:
    late = PastRun(run="late", who="eva", began=1.0, command="create", code=0, seconds=1.0)
    data = written(*map(a_run, range(KEPT)), late)
    assert read_history(data).runs[-1] == late
    assert len(data) == KEPT


def test_what_is_no_run_stays_while_there_is_room_and_goes_first() -> None:
    start = {"note": "of a colleague", "long": "x" * (LONGEST_ENTRY + 1)}
    data = written(RUN, start=start)
    assert set(data) == {"note", "ab12"}
    data = written(*map(a_run, range(KEPT)), start=data)
    assert set(data) == {f"run{number}" for number in range(KEPT)}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "no json",
        "5",
        "[]",
        "{}",
        "[" * 3000,
        entry(when="yesterday"),
        entry(when="2027-02-31T08:00:00Z"),
        entry(when=5),
        entry(who=None),
        entry(command=["create"]),
        entry(exit_code=True),
        entry(exit_code=-1),
        entry(exit_code=256),
        entry(seconds=-1),
        entry(seconds="NaN"),
        entry(seconds=1e300),
        entry(command="x" * LONGEST_ENTRY),
        5,
        None,
        {"when": "2027-01-15T08:00:00Z"},
    ],
)
def test_what_is_no_entry_is_counted_and_hides_no_other(value: object) -> None:
    assert read_history({"cd34": value, **written(RUN)}) == RunHistory((RUN,), 1)


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "../x", "\x1b[2J", "é"])
def test_what_no_run_is_called_is_no_entry(key: str) -> None:
    assert read_history({key: entry()}) == RunHistory((), 1)


def test_an_entry_of_a_later_release_is_read() -> None:
    (run,) = read_history({"ab12": entry(version="9.0", more={"a": []})}).runs
    assert run == RUN


def test_what_reaches_a_terminal_is_harmless_and_short() -> None:
    (run,) = read_history({"ab12": entry(who="\x1b[2J" * 50, command="x\n" * 800)}).runs
    assert f"{run.who}{run.command}".isprintable()
    assert (len(run.who), len(run.command)) == (122, 1002)


def test_more_entries_than_are_kept_are_not_told() -> None:
    """Somebody else wrote them there, or a release that keeps more."""
    read = read_history({f"run{number}": entry() for number in range(KEPT + 9)})
    assert (len(read.runs), read.skipped) == (KEPT, 0)


_RUNS = st.builds(
    PastRun,
    run=st.from_regex(r"[0-9A-Za-z_-]{1,64}", fullmatch=True),
    who=st.text(max_size=200),
    began=st.integers(min_value=0, max_value=250_000_000_000).map(float),
    command=st.text(max_size=1500),
    code=st.integers(min_value=0, max_value=255),
    seconds=st.floats(min_value=0, max_value=1e6),
)
_ANYTHING = st.one_of(st.text(max_size=60), st.integers(), st.none(), st.binary(max_size=9), st.just(entry()))
_DATA = st.dictionaries(st.text(max_size=12), _ANYTHING, max_size=60)


@LARGE
@given(data=_DATA, run=_RUNS)
def test_whatever_stands_there_a_run_can_be_added(data: dict[str, object], run: PastRun) -> None:
    changes = with_run(data, run)
    after = {key: value for key, value in {**data, **changes}.items() if value is not None or key not in changes}
    mine = [one for one in read_history(after).runs if one.run == run.run]
    assert [(one.began, one.code) for one in mine] == [(run.began, run.code)]
    assert mine[0].who.isprintable()
    assert mine[0].command.isprintable()
    assert len(after) <= KEPT
    assert all(isinstance(value, str) and len(value) <= LONGEST_ENTRY for value in after.values())


@LARGE
@given(data=_DATA)
def test_whatever_stands_there_is_runs_or_skipped(data: dict[str, object]) -> None:
    read = read_history(data)
    assert len(read.runs) + read.skipped == len(data) or len(read.runs) == KEPT
    assert all(isinstance(run.who, str) and isinstance(run.code, int) for run in read.runs)


@LARGE
@given(runs=st.lists(_RUNS, max_size=12, unique_by=lambda run: run.run), order=st.randoms())
def test_in_whatever_order_they_are_noted_the_history_is_the_same(runs: list[PastRun], order: Random) -> None:
    shuffled = list(runs)
    order.shuffle(shuffled)
    assert read_history(written(*runs)) == read_history(written(*shuffled))
