"""What is installed is whole: the wheel in an environment of its own, used outside of this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build the wheel and unpack it into a fresh environment, which borrows nothing but the dependencies from here."""
    pytest.importorskip("hatchling", reason="hatchling is not installed here")
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    made = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    venv.create(place / "venv", symlinks=True)
    (packages,) = (place / "venv").glob("lib/python*/site-packages")
    (wheel,) = place.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return [str(place / "venv/bin/python"), "-m", "hetzner_k3s"]


def run(program: list[str], folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program far from the repository, as a user without home, token and PYTHONPATH."""
    environment = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"}
    return subprocess.run(
        [*program, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_it_is_the_wheel_that_runs(program: list[str], tmp_path: Path) -> None:
    told = run(program[:1], tmp_path, "-c", "import hetzner_k3s; print(hetzner_k3s.__file__)")
    assert Path(told.stdout.strip()).is_relative_to(Path(program[0]).parents[1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--version"], "file format of hetzner-k3s 2.6"),
        (["--help"], "Commands:"),
        (["explain", "quorum.lost"], "quorum.lost"),
        (["schema"], "http://json-schema.org/draft-07/schema#"),
        (["history"], ""),
        (["lab", "simulate", "--help"], "Play with a cluster"),
    ],
)
def test_commands_work_that_need_no_file(program: list[str], tmp_path: Path, words: list[str], said: str) -> None:
    done = run(program, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_a_first_file_is_made_and_is_valid(program: list[str], tmp_path: Path) -> None:
    for words in (("init",), ("validate", "-c", "cluster.yaml")):
        done = run(program, tmp_path, *words)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.schema.json", "cluster.yaml"]


def test_it_has_both_names_and_its_licence(program: list[str]) -> None:
    (packages,) = Path(program[0]).parents[1].glob("lib/python*/site-packages")
    (info,) = packages.glob("hetzner_k3s-*.dist-info")
    names = (info / "entry_points.txt").read_text()
    assert "hetzner-k3s = hetzner_k3s.cli.app:main" in names
    assert "hetzner-k3s-py = hetzner_k3s.cli.app:main" in names
    assert (info / "licenses/LICENSE").read_text().startswith("MIT License")
