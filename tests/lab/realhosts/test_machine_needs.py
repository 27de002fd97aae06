"""What the lab needs of a machine, and what it says where that is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hetzner_k3s.lab.realhosts.apt_source import NoAptSourceError, read_apt_source
from hetzner_k3s.lab.realhosts.requirements import advice


def test_missing_programs_are_named_with_the_command_that_installs_them(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    program = "from hetzner_k3s.cli.app import main; main()"
    command = [sys.executable, "-c", program, "lab", "up", "--state", str(tmp_path / "state")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "systemd-nspawn" in done.stderr
    assert "apt-get install" in done.stderr
    assert "systemd-container" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


def test_no_advice_where_no_package_helps() -> None:
    assert advice(("root",)) == ""


def test_another_distribution_has_no_debian_archive(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text("ID=fedora\nVERSION_ID=42\n")
    with pytest.raises(NoAptSourceError, match="fedora"):
        read_apt_source(release)


@pytest.mark.skipif(not shutil.which("apt-get"), reason="apt is not installed")
def test_an_unknown_release_is_named(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text("ID=debian\nVERSION_CODENAME=nosuch\n")
    with pytest.raises(NoAptSourceError, match="nosuch"):
        read_apt_source(release)
