"""What `make bench` computes and writes: paths, medians, the file of results. No figure is asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench import critical_path, machine, results, transcribed
from bench.figures import Figure, load, row
from bench.scenes import SCENES, Part, chosen
from bench.simulated import measured
from bench.stopwatch import timed

BOOT = {"m1": 30.0, "m2": 20.0, "w1": 90.0}
TOOK = {("InitControlPlane", "m2"): 10.0, ("JoinControlPlane", "m1"): 15.0, ("JoinWorker", "w1"): 5.0}


def test_path_is_the_longest_chain() -> None:
    assert critical_path.length(BOOT, TOOK) == 95.0  # the worker's boot outlasts the birth at 30
    assert critical_path.length(BOOT | {"w1": 10.0}, TOOK) == 45.0  # birth, then the other master
    assert critical_path.length({"m3": 20.0}, {("JoinControlPlane", "m3"): 9.0}) == 29.0  # a recovery has no birth


def test_boots_are_counted_from_the_order() -> None:
    begun = {("CreateServer", "m1"): 3.0, ("EnsureNetwork", "x"): 1.0, ("CreateServer", "lost"): 3.0}
    assert critical_path.boots(begun, {"m1": 33.0}) == {"m1": 30.0}


def test_a_simulated_runs_lines_are_read() -> None:
    lines = [" 3.0 CreateServer prod-master1: it is absent", "  33.5 CreateServer prod-master1 done after 30.5 s", "x"]
    step = ("CreateServer", "prod-master1")
    assert critical_path.read_lines(lines) == ({step: 3.0}, {step: 30.5})


def test_a_transcripts_retried_step_begins_once_and_counts_its_last_try() -> None:
    def event(kind: str, at: float) -> dict[str, object]:
        return {"event": kind, "at": at, "step": "JoinWorker", "target": "w1"}

    events = [event("started", 1.0), event("failed", 2.0), event("started", 5.0), event("finished", 8.0)]
    assert transcribed.steps(events) == ({("JoinWorker", "w1"): 1.0}, {("JoinWorker", "w1"): 3.0})


def test_a_row_shows_medians_and_the_worst_ratio() -> None:
    figures = [Figure(wall, 100.0, 40, 2.0, 64.0) for wall in (110.0, 130.0, 120.0)]
    assert row("create 3+1", 4, figures) == "| create 3+1 | 3 | 1.20, 1.30 | 120.0 | 40 | 10.00 | 2.00 | 64 |\n"
    assert "| – |" in row("nothing to do", 4, [Figure(1.0, 0.0, 6, 0.1)])
    assert load(figures[0].dump()) == figures[0]


def test_results_are_kept_by_commit_and_kind(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    for measured_at, kind, text in (("a1", "simulated", "one"), ("a1", "hosts", "two"), ("b2", "simulated", "three")):
        results.record(kind, text, file, measured_at)
    results.record("simulated", "four", file, "a1")
    lines = [line for line in file.read_text().splitlines() if line]
    assert [line.partition(",")[0] for line in lines if line.startswith("##")] == [
        "## a1: hosts",
        "## b2: simulated",
        "## a1: simulated",
    ]
    assert [line for line in lines if not line.startswith("#")] == ["two", "three", "four"]


def test_a_commit_names_itself() -> None:
    assert len(results.commit().split()[0]) == 8


@pytest.mark.parametrize("code", [0, 3])
def test_a_program_is_timed_to_its_end(code: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"], text=True)
    ran = timed(process, 60)
    assert ran.code == code
    assert ran.cpu > 0
    assert ran.peak_mib > 1


def test_a_program_that_does_not_end_is_ended() -> None:
    ran = timed(subprocess.Popen(["sleep", "60"], text=True), 0.2)
    assert ran.code is None
    assert ran.wall < 30


def test_busy_cores_are_what_the_kernel_counts() -> None:
    ticks = machine.Moment(busy=10.0, at=100.0)
    assert machine.Moment(busy=13.0, at=102.0).cores_since(ticks) == 1.5
    assert "worth little" in machine.said(64.0)
    assert "worth little" not in machine.said(0.0)


def test_scenes_are_chosen_by_name() -> None:
    assert {scene.part for scene in SCENES} == set(Part)
    assert {scene.shape for scene in chosen("3+1", on_hosts=True)} == {(3, 1)}
    assert {scene.shape for scene in chosen("", on_hosts=True)} == {(3, 1), (3, 10)}
    assert [scene.name for scene in chosen("create 3+97")] == ["create 3+97"]
    assert [scene.name for scene in chosen("3+10 create")] == ["create 3+10", "create 3+10 in the internet"]
    assert all(chosen(scene.name) == (scene,) for scene in SCENES)


def test_a_scene_is_measured_in_the_simulation() -> None:
    """The smallest one, whole: its path is shorter than the run, and nobody else's."""
    figure = measured(next(scene for scene in SCENES if scene.part is Part.RECOVERY), seed=1)
    assert 0 < figure.critical < figure.wall
    assert figure.requests > 0
