"""`history`: what transcripts tell of earlier runs, and where their time went."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from tests.cli.runs import a_hostile_run, a_run, decided, step, write

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.history.critical_path import Phase, critical_path, seconds_by_phase
from hetzner_k3s.cli.history.runs import Run, read_run
from hetzner_k3s.cli.render.history import run_document, run_lines
from hetzner_k3s.lab.simulated.world import TOKEN

from .conftest import CLUSTER, Invoke

NAME = "20270115T080000Z-create-abc123.jsonl"


@pytest.fixture
def kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a cluster's transcripts, with one run in it."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    (home / "cluster.yaml").write_text(CLUSTER)
    folder = home / ".local/state/hetzner-k3s/prod/transcripts"
    write(folder / NAME, a_run())
    return folder


def read(tmp_path: Path, events: list[dict[str, object]]) -> Run:
    return read_run(write(tmp_path / NAME, events))


def test_every_phase_has_a_word() -> None:
    assert all(phase.value for phase in Phase)


def test_the_critical_path_is_what_the_run_waited_for(tmp_path: Path) -> None:
    path = critical_path(read(tmp_path, a_run()))
    told = [(one.phase, one.step.pair if one.step else one.what, one.start, one.end) for one in path]
    assert told == [
        (Phase.LOOK, "", 0.0, 2.0),
        (Phase.LOCK, "", 2.0, 3.0),
        (Phase.SERVERS, ("CreateServer", "prod-master1"), 3.0, 40.0),
        (Phase.DECIDE, "", 40.0, 41.0),
        (Phase.HOSTS, ("InstallK3s", "prod-master1"), 41.0, 50.0),
        (Phase.WAIT, "the API", 50.0, 58.0),
        (Phase.CONTROL_PLANE, ("MarkMember", "prod-master1"), 58.0, 59.0),
        (Phase.END, "", 59.0, 60.0),
    ]


def test_the_step_that_a_decision_followed_counts_and_not_the_one_that_ended_last(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        [
            decided(0.0, "CreateServer prod-master1", "CreateServer prod-worker1"),
            *step("CreateServer", "prod-master1", 0.0, 10.0),
            *step("CreateServer", "prod-worker1", 0.0, 10.5),
            decided(11.0, "InstallK3s prod-master1", after=("CreateServer prod-master1", "CreateServer prod-worker1")),
            *step("InstallK3s", "prod-master1", 11.0, 20.0),
        ],
    )
    assert [one.step.target for one in critical_path(run) if one.step] == ["prod-master1", "prod-master1"]


@pytest.mark.parametrize("seed", range(5))
def test_the_phases_of_a_real_run_add_up_to_it(
    seed: int, home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    (home / "cluster.yaml").write_text(CLUSTER)
    with wiring.simulation(seed, "typical") as place:
        invoke("create", "-c", "cluster.yaml")
        place.happen("lose", "prod-master1")
        invoke("create", "-c", "cluster.yaml")
        (repaired, made) = json.loads(invoke("history", "--simulated", "--json").out)
    for summary in (repaired, made):
        run = read_run(Path(summary["transcript"]))
        path = critical_path(run)
        assert (path[0].start, path[-1].end) == (0.0, run.seconds)
        assert all(one.end == after.start for one, after in itertools.pairwise(path))
        assert sum(seconds_by_phase(path).values()) == pytest.approx(run.seconds)
        assert sum(summary["phases"].values()) == pytest.approx(run.seconds, abs=0.1)
        assert len([one for one in path if one.step]) >= 5
        assert summary["outcome"] == "done"


def test_a_run_is_listed_and_told_step_by_step(kept: Path, invoke: Invoke) -> None:
    listed = invoke("history", "-c", "cluster.yaml")
    assert listed.code == 0
    first, second = listed.out.splitlines()
    assert first.startswith("1  2027-01-15 ")
    assert first.endswith("  create of prod: done, 1 min 0 s")
    assert second == "   abc123 by me@here: servers 37.0 s, hosts 9.0 s, waiting 8.0 s, looking 2.0 s"
    for asked in ("1", "abc", "abc123"):
        told = invoke("history", asked).out
        assert "62% create server prod-master1 (37.0 s); 15% install k3s on prod-master1 (9.0 s)" in told
        assert "13% waited for the API (8.0 s)" in told
        assert "the other 1 ran beside it, 7.0 s of work in all" in told
        assert f"transcript: {kept / NAME}" in told
    document = json.loads(invoke("history", "1", "--json").out)
    assert document["phases"]["servers"] == 37.0
    assert [one["critical"] for one in document["steps"]] == [False, True, True, True]
    assert document["calls"]["ssh"] == {"well": 1, "failed": 0}


def test_no_token_or_valid_file_is_needed(
    kept: Path, invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HCLOUD_TOKEN")
    (home / "cluster.yaml").write_text("cluster_name: prod\nnonsense: true\n")
    assert "abc123" in invoke("history", "-c", "cluster.yaml").out
    (home / "cluster.yaml").write_text("cluster_name: ../prod\n")
    assert invoke("history", "-c", "cluster.yaml").code == 2
    assert kept.is_dir()


def test_another_clusters_runs_are_not_its_own(kept: Path, invoke: Invoke, home: Path) -> None:
    write(kept.parent.parent / "other/transcripts" / NAME.replace("abc123", "other1"), a_run())
    assert "other1" not in invoke("history", "-c", "cluster.yaml").out
    assert "other1" in invoke("history").out
    assert home.is_dir()


@pytest.mark.usefixtures("kept")
def test_a_run_that_is_not_there_is_a_mistake(invoke: Invoke) -> None:
    assert invoke("history", "xyz").code == 2
    assert "no run that was recorded here begins with 'xyz'" in invoke("history", "xyz").err


def test_a_machine_without_runs_says_so(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "nowhere"))
    told = invoke("history")
    assert (told.code, told.out) == (0, "")
    assert "no run was recorded" in told.err


def test_a_killed_run_is_told_as_far_as_it_was_written(kept: Path, invoke: Invoke) -> None:
    path = kept / NAME
    whole = path.read_text()
    path.write_text(whole[: whole.index('"finished", "step": "InstallK3s"')])
    told = invoke("history", "1").out
    assert "no end: it runs, or was killed" in told
    assert "1 step had no end when the run had one: install k3s on prod-master1" in told


@pytest.mark.parametrize(
    "line", ["", "no json", "[1]", "{}", '{"event": "started"}', '{"event": "decided", "planned": [1], "after": {}}',
             '{"event": "end", "code": "x"}', '{"at": "x", "event": "api"}', '{"at": 1e400, "event": "phase"}',
             '{"event": "run", "began": 1e300}']
)  # fmt: skip
def test_a_line_that_is_none_is_no_trouble(line: str, tmp_path: Path) -> None:
    path = write(tmp_path / NAME, a_run())
    path.write_text(f"{line}\n{path.read_text()}{line}\n")
    assert list(run_lines(read_run(path)))


def test_what_is_not_printable_reaches_no_terminal(kept: Path, invoke: Invoke) -> None:
    events = a_hostile_run()
    events[0]["command"] = "create\x1b[2J"
    write(kept / NAME, events)
    for told in (invoke("history"), invoke("history", "1")):
        assert told.code == 0
        assert "\x1b" not in told.out


def test_a_document_tells_seconds_to_the_millisecond(tmp_path: Path) -> None:
    run = read(tmp_path, [{**event, "at": event["at"] / 7} for event in a_run()])
    document = json.loads(json.dumps(run_document(run)))
    seconds = [document["seconds"], *document["phases"].values()]
    seconds += [row["seconds"] for row in (*document["steps"], *document["critical_path"])]
    assert seconds == [round(one, 3) for one in seconds]
    assert document["seconds"] == 8.571
    assert document["phases"][Phase.WAIT.value] == 1.143
    assert [step["seconds"] for step in document["steps"]] == [1.0, 5.286, 1.286, 0.143]


@pytest.mark.parametrize("began", [1e12, 1e300, -1e18])
def test_a_moment_that_no_clock_shows_is_left_out(began: float, tmp_path: Path) -> None:
    first, *others = a_run()
    run = read(tmp_path, [{**first, "began": began}, *others])
    assert next(iter(run_lines(run))).endswith("by me@here, -")
