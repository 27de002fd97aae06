"""Real hosts for tests: one lab for the whole run, with a state directory of its own."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hetzner_k3s.lab.realhosts import lifecycle
from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.requirements import missing

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs real hosts; leave it out where they cannot run (in CI that is a failure, see `lab`)."""
    lacking = missing()
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.realhosts)
            if lacking and not _must_run():
                item.add_marker(pytest.mark.skip(reason=_lacking_text(lacking)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out, a line a reason."""
    reports = terminalreporter.getreports("skipped")
    reasons = Counter(report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} tests left out: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHandle]:
    """Run a lab (instant latency) until the end of all tests. Use `fresh_lab` or `lab.reset()` for an empty project."""
    lacking = missing()
    if lacking:
        pytest.fail(_lacking_text(lacking))
    folder = tmp_path_factory.mktemp("lab") / "state"
    try:
        running = lifecycle.up(folder, "instant", _real_k3s(), say=sys.stderr.write)
        yield LabHandle(running)
    finally:
        lifecycle.down(folder)


@pytest.fixture
def fresh_lab(lab: LabHandle) -> Iterator[LabHandle]:
    """Give the lab with nothing in its project, and leave it so."""
    lab.reset()
    yield lab
    lab.reset()


def _must_run() -> bool:
    return os.environ.get("CI") == "true"


def _lacking_text(lacking: tuple[str, ...]) -> str:
    return f"real hosts cannot run here, missing: {', '.join(lacking)}"


def _real_k3s() -> Path | None:
    """Test with a real k3s where HETZNER_K3S_TEST_BINARY names one."""
    path = os.environ.get("HETZNER_K3S_TEST_BINARY")
    return Path(path) if path else None
