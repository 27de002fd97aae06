"""The program as a file: what is in it, that it is the same every time, that it runs."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

from hetzner_k3s.lab.k3s import program, stub

VERSION = "v1.36.3+k3s1"


def test_equal_sources_give_equal_bytes() -> None:
    assert program.build(VERSION) == program.build(VERSION)
    assert program.build(VERSION) != program.build("v1.35.0+k3s1")


def test_it_holds_only_the_model_and_runs_on_the_hosts_python() -> None:
    built = program.build(VERSION)
    assert built.startswith(b"#!/usr/bin/python3\n")
    names = set(zipfile.ZipFile(io.BytesIO(built)).namelist())
    inside = "hetzner_k3s/lab/k3s/"
    outside = {"__main__.py", "hetzner_k3s/__init__.py", "hetzner_k3s/lab/__init__.py"}
    assert {name for name in names if not name.startswith(inside)} == outside
    assert inside + "serving/server.py" in names
    assert not names & {inside + "program.py", inside + "etcd/model.py"}


def test_version_needs_no_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "k3s"
    file.write_bytes(program.build(VERSION))
    done = subprocess.run([sys.executable, file, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[0] == f"k3s version {VERSION} (66a14f0e)"
    assert list(tmp_path.iterdir()) == [file]


def test_unpacking_is_done_once(tmp_path: Path) -> None:
    file, data = tmp_path / "k3s", tmp_path / "data"
    file.write_bytes(program.build(VERSION))
    target = Path(stub.unpack(str(file), str(data)))
    assert (target / "hetzner_k3s/lab/k3s/serving/server.py").is_file()
    assert (data / "current").resolve() == target.parent
    made = target.stat().st_ino
    assert stub.unpack(str(file), str(data)) == str(target)
    assert target.stat().st_ino == made
