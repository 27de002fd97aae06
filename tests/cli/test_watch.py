"""`status --watch`: what changes is shown when it does, Hetzner is asked rarely, and Ctrl-C is its end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.test_status_page import a_report
from tests.cli.test_transcript import events, written

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands.options import load_spec
from hetzner_k3s.cli.render.board import Board
from hetzner_k3s.cli.render.changes import Change, change_line, changes
from hetzner_k3s.cli.watching import watch
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model.plan import Refusal
from hetzner_k3s.model.report import Report

from .conftest import CLUSTER, Invoke
from .hetzner import TOKEN as LAB_TOKEN
from .hetzner import running


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Let a cluster of three masters live in a simulated world."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    (home / "cluster.yaml").write_text(CLUSTER)
    with wiring.simulation(7, "instant") as opened:
        yield opened


def watched(place: Place, seconds: float, fault: faults.Fault | None = None) -> list[tuple[Report, Sequence[Change]]]:
    """Return what is shown to whoever watches for some seconds, when after 100 s something happens."""
    shown: list[tuple[Report, Sequence[Change]]] = []

    async def story() -> None:
        async with wiring.open_session(load_spec(Path("cluster.yaml"))) as session:
            watching = asyncio.create_task(watch(load_spec(Path("cluster.yaml")), session.ports, show))
            await asyncio.sleep(100)
            if fault is not None:
                await fault.strike(place.world)
            await asyncio.sleep(seconds - 100)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def show(report: Report, told: Sequence[Change]) -> None:
        shown.append((report, told))

    place.run(story())
    return shown


def test_a_cluster_at_rest_is_shown_once_and_hetzner_is_hardly_asked(invoke: Invoke, place: Place, home: Path) -> None:
    invoke("create", "-c", "cluster.yaml")
    place.wait(200)
    shown = watched(place, 3600)
    assert [told for _, told in shown[1:]] == []
    run = max(written(home), key=lambda path: path.stat().st_mtime)
    counted = Counter(event["event"] for event in events(run))
    assert counted["api"] <= 0.15 * 3600
    assert counted["ssh"] >= 3 * 3600 / 5 * 0.8


def test_what_happens_is_shown_soon_and_by_name(invoke: Invoke, place: Place) -> None:
    invoke("create", "-c", "cluster.yaml")
    place.wait(200)
    shown = watched(place, 300, faults.PoweredOff("prod-master2"))
    before, after = shown[0][0], shown[1][0]
    assert before.observed_at + 95 < after.observed_at < before.observed_at + 130
    lines = [change_line(change).split(" ", 1)[1] for _, told in shown for change in told]
    assert any(line.startswith("prod-master2: host answers -> ") for line in lines), lines
    assert "prod-master2: Hetzner running -> off" in lines
    assert any(line.startswith("prod: health healthy -> degraded") for line in lines)
    assert len(shown) < 12


def test_a_change_is_told_with_its_time_and_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert change_line(Change(37.0, "m1", "host", "answers", "")) == "00:00:37 m1: host answers -> -"
        assert change_line(Change(37.0, "m1", "host", "", "answers")) == "00:00:37 m1: host - -> answers"
        assert change_line(Change(3600.0, "prod", "", "", "x")) == "01:00:00 prod: now: x"
        assert change_line(Change(3600.0, "prod", "", "x", "")) == "01:00:00 prod: no longer: x"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_is_refused_from_now_on_is_a_change(place: Place) -> None:
    (first, *_) = watched(place, 110)
    report = first[0]
    refusal = Refusal(code="quorum.lost", saw="s", why="w", you_can="y")
    told = changes(report, replace(report, forecast=replace(report.forecast, refusals=(refusal,))))
    assert [(one.subject, one.what, one.after) for one in told] == [("prod", "refuses", "quorum.lost")]


def test_only_what_is_another_is_a_change(place: Place) -> None:
    (first, *_) = watched(place, 110)
    report = first[0]
    assert changes(report, replace(report, observed_at=report.observed_at + 60)) == ()
    told = changes(report, replace(report, because=("x",), file_version=report.file_version))
    assert [change_line(change).split(" ", 1)[1] for change in told] == [
        *(f"prod: no longer: {why}" for why in report.because),
        "prod: now: x",
    ]


def test_what_has_come_was_nothing_and_what_has_gone_is_nothing() -> None:
    whole = a_report()
    server = whole.servers[0]
    less = replace(whole, servers=whole.servers[1:])
    came = [one for one in changes(less, whole) if one.subject == server.name]
    went = [one for one in changes(whole, less) if one.subject == server.name]
    assert {one.before for one in came} == {one.after for one in went} == {""}
    assert [(one.what, one.after) for one in came] == [(one.what, one.before) for one in went]
    assert ("Hetzner", server.hetzner) in {(one.what, one.after) for one in came}


def test_the_latest_changes_stand_below_what_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("TERM", raising=False)
    board, report = Board(as_json=False), a_report()
    for number in range(10):
        board.show(report, [Change(float(number), "prod", "health", str(number), str(number + 1))])
    drawn = capsys.readouterr().out.rsplit("MEMBER  ", 1)[1]
    assert re.findall(r"health (\d+) -> (\d+)$", drawn, re.MULTILINE) == [(str(n), str(n + 1)) for n in range(2, 10)]


def test_each_change_is_a_line_where_there_is_no_terminal(
    invoke: Invoke, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    invoke("create", "-c", "cluster.yaml")
    shown = watched(place, 300, faults.PoweredOff("prod-master2"))
    lines, documents = Board(as_json=False), Board(as_json=True)
    for report, told in shown:
        lines.show(report, told)
    written = capfd.readouterr().out
    assert written.count("MEMBER  ") == 1
    assert written.count("prod-master2: Hetzner running -> off") == 1
    assert "\x1b" not in written
    for report, told in shown:
        documents.show(report, told)
    rows = [json.loads(row) for row in capfd.readouterr().out.splitlines()]
    assert len(rows) == len(shown)
    assert rows[0]["health"] != rows[-1]["health"] or rows[0]["servers"] != rows[-1]["servers"]


def test_ctrl_c_ends_it_with_the_code_of_what_was_seen(home: Path) -> None:
    (home / "cluster.yaml").write_text(CLUSTER)
    with running() as hetzner:
        names = {"HCLOUD_ENDPOINT": hetzner.url, "HCLOUD_TOKEN": LAB_TOKEN, "XDG_STATE_HOME": str(home / "state")}
        command = [sys.executable, "-m", "hetzner_k3s", "status", "-c", "cluster.yaml", "--watch", "--html", "s.html"]
        process = subprocess.Popen(
            command, env={**os.environ, **names}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "prod: not initialized yet\n"
        while "drift" not in (line := process.stdout.readline()) and not line.startswith("prod-master3"):
            assert line
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=60)
    assert process.returncode == 3, talk
    assert talk == ""
    assert "prod: " in (home / "s.html").read_text()


def test_a_terminal_is_drawn_anew(home: Path) -> None:
    (home / "cluster.yaml").write_text(CLUSTER)
    ours, theirs = os.openpty()
    with running() as hetzner:
        names = {"HCLOUD_ENDPOINT": hetzner.url, "HCLOUD_TOKEN": LAB_TOKEN, "XDG_STATE_HOME": str(home / "state")}
        command = [sys.executable, "-m", "hetzner_k3s", "status", "-c", "cluster.yaml", "--watch"]
        process = subprocess.Popen(command, env={**os.environ, **names, "TERM": "xterm"}, stdout=theirs)
        drawn = b""
        while b"Ctrl-C ends" not in drawn:
            drawn += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 3
    os.close(ours)
    os.close(theirs)
    assert drawn.startswith(b"\x1b[2J")
    assert b"prod-master3" in drawn


@pytest.mark.usefixtures("place")
def test_a_page_is_written_where_it_is_asked_for(invoke: Invoke, home: Path) -> None:
    told = invoke("status", "-c", "cluster.yaml", "--html", "s.html")
    assert "prod is shown in s.html" in told.err
    assert "prod-master1" in (home / "s.html").read_text()
