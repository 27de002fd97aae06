"""The pages, element by element, and what `history` tells of a run that failed: what they mean is tested elsewhere."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.runs import a_run, step, write
from tests.cli.test_run_page import NAME
from tests.cli.test_status_page import a_report
from tests.recorded import held

from hetzner_k3s.cli.history.critical_path import critical_path
from hetzner_k3s.cli.history.runs import read_run
from hetzner_k3s.cli.history.story import where_the_time_went
from hetzner_k3s.cli.pages.run_page import run_page
from hetzner_k3s.cli.pages.status_page import status_page
from hetzner_k3s.model.report import Health

_RECORDED = Path(__file__).parent / "recorded_outputs"
_STYLE = re.compile(r"<style>.*?</style>|(?<=sha256-)[^&]*", re.DOTALL)


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Show moments as of one place."""
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_the_page_of_a_run_that_did_its_work(tmp_path: Path) -> None:
    page = run_page(read_run(write(tmp_path / NAME, a_run())))
    held(_RECORDED / "run-done.html", _STYLE.sub("", page))


def test_a_run_that_failed(tmp_path: Path) -> None:
    events = [
        *a_run()[:-1],
        *step("JoinWorker", "prod-worker1", 60.0, 71.0, failed="it does not answer", because="its host is empty"),
        {"at": 71.0, "event": "error", "error": "HostUnreachable", "message": "prod-worker1 does not answer"},
        {"at": 72.0, "event": "end", "code": 1},
    ]
    run = read_run(write(tmp_path / NAME, events))
    held(_RECORDED / "run-failed.html", _STYLE.sub("", run_page(run)))
    held(_RECORDED / "run-failed.txt", "\n".join(where_the_time_went(run, critical_path(run))) + "\n")


@pytest.mark.parametrize("health", [Health.HEALTHY, Health.DEGRADED])
def test_the_page_of_a_cluster(health: Health) -> None:
    page = status_page(replace(a_report(), health=health))
    held(_RECORDED / f"status-{health.value}.html", _STYLE.sub("", page))
