"""The fence of a host: an operation runs only when the number of the operator lock is on its disk."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hetzner_k3s.hosts.shell import operation_script


def run_unit(root: Path, fence: int) -> dict[str, object]:
    """Run what the transient unit runs, on folders below `root`, and return its outcome."""
    work, state = root / "run/ops/ab", root / "state"
    for folder in (work, state / "ops"):
        folder.mkdir(parents=True, exist_ok=True)
    (work / "script").write_text(f"touch {root}/done; printf '{{\"result\":{{}}}}\\n'\n")
    (work / "stdin").touch()
    text = (
        operation_script("unit").replace("/var/lib/hetzner-k3s", str(state)).replace("/run/hetzner-k3s", f"{root}/run")
    )
    subprocess.run(["sh", "-c", text, "unit", "ab", "WriteConfig", str(fence)], check=True, capture_output=True)
    outcome: dict[str, object] = json.loads((state / "ops/ab.json").read_text())
    return outcome


def test_the_greatest_fence_is_kept_and_a_lower_one_refused(tmp_path: Path) -> None:
    assert run_unit(tmp_path, 7) == {"result": {}}
    assert (tmp_path / "state/fence").read_text() == "7\n"
    assert run_unit(tmp_path, 7) == {"result": {}}
    assert run_unit(tmp_path, 6)["error"] == "fenced"
    assert run_unit(tmp_path, 8) == {"result": {}}


@pytest.mark.parametrize("before", [None, "5\n"])
def test_a_fence_that_cannot_be_written_is_an_error_and_nothing_is_done(tmp_path: Path, before: str | None) -> None:
    (tmp_path / "state/fence.new").mkdir(parents=True)  # as a full disk would: the new file cannot be made
    if before:
        (tmp_path / "state/fence").write_text(before)
    outcome = run_unit(tmp_path, 7)
    assert outcome["error"] == "never_ran"
    assert "could not write the number of the operator lock" in str(outcome["message"])
    assert not (tmp_path / "done").exists()
