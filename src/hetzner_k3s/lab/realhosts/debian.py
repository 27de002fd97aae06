"""Building a lab host's root filesystem: Debian from the machine's own archive, adapted.

See docs/facts/lab.md#root-filesystem.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from hetzner_k3s.lab.realhosts.apt_source import AptSource, read_apt_source

SUITE = "trixie"

_HERE = Path(__file__).parent
_IMAGE = _HERE / "image"
_RECIPE = _HERE / "recipe"

# mmdebstrap mounts /proc, /sys and /dev below the new root; a build that is killed leaves neither mount nor process.
_OWN_WORLD = ("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

_DMI_SHIM = """\
    _lab = "/etc/lab-dmi/" + key  # hetzner-k3s lab: a container has no DMI of its own
    if os.path.exists(_lab):
        with open(_lab) as _value:
            return _value.read().strip()
"""

# The C format of ip(8) for the name of an interface and that of its peer, and one of the same length without the peer.
_NAME_AND_PEER, _NAME_ALONE = b"%s@%s\0", b"%s\0\0\0\0"


class RootfsBuildError(Exception):
    """The root filesystem could not be built; the text holds the end of mmdebstrap's output."""


def recipe_hash() -> str:
    """Return a hash of all that decides what a build makes: this file, the recipe, the files laid over, the kernel."""
    digest = hashlib.sha256(os.uname().release.encode())  # the modules directory is named after the kernel
    for path in (Path(__file__), *_files_below(_RECIPE), *_files_below(_IMAGE)):
        digest.update(f"{path.relative_to(_HERE)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def build(root: Path) -> None:
    """Make the root filesystem at `root`, which must not exist. Raises RootfsBuildError or NoAptSourceError."""
    _mmdebstrap(read_apt_source(), root)
    _adapt(root)


def _mmdebstrap(source: AptSource, root: Path) -> None:
    command = [*_OWN_WORLD, "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    command.append(f"--include={','.join(_entries('packages'))}")
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _entries("left-out")]
    command += [f"--aptopt={option}" for option in source.options]
    command += [SUITE, str(root), f"deb {source.uri} {SUITE} main"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            _, errors = process.communicate()
        except BaseException:
            process.kill()
            process.communicate()  # ends when the last process of the build has closed its end
            raise
    if process.returncode:
        raise RootfsBuildError(f"mmdebstrap ended with {process.returncode}:\n{errors[-2000:]}")


def _adapt(root: Path) -> None:
    """Turn a plain Debian into a lab host's disk (docs/facts/lab.md#root-filesystem)."""
    for path in _files_below(_IMAGE):
        _lay_over(path, root / path.relative_to(_IMAGE))
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/hostname", "etc/machine-id", "etc/fstab"):
        (root / name).unlink(missing_ok=True)
    _choose_units(root)
    _declare_builtin_modules(root)
    _teach_dmi(root)
    _name_links_plainly(root)
    shutil.rmtree(root / "var/cache/apt")


def _lay_over(source: Path, path: Path) -> None:
    content = source.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755 if content.startswith(b"#!") else 0o644)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _entries(name: str) -> list[str]:
    lines = (_RECIPE / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _choose_units(root: Path) -> None:
    units = root / "etc/systemd/system"
    for unit in _entries("masked-units"):
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    # Not masked, or `reboot` would complain: it starts on demand.
    (root / "usr/lib/systemd/system/multi-user.target.wants/systemd-logind.service").unlink()
    prep = units / "sysinit.target.wants" / "lab-prep.service"
    prep.parent.mkdir(exist_ok=True)
    prep.symlink_to("/etc/systemd/system/lab-prep.service")


def _declare_builtin_modules(root: Path) -> None:
    modules = root / "usr/lib/modules" / os.uname().release
    modules.mkdir(parents=True)
    (modules / "modules.builtin").write_text("\n".join(_entries("builtin-modules")) + "\n")
    (modules / "modules.order").touch()
    (modules / "modules.builtin.modinfo").touch()
    subprocess.run(["chroot", str(root), "depmod", os.uname().release], check=True, capture_output=True)


def _teach_dmi(root: Path) -> None:
    """Make cloud-init's Hetzner datasource work in a container, where its DMI reader always answers None."""
    path = root / "usr/lib/python3/dist-packages/cloudinit/dmi.py"
    text = path.read_text()
    marker = "    if is_container():"
    if text.count(marker) != 1:
        raise RootfsBuildError("cloud-init's dmi.py is not as expected; the DMI shim needs a new place")
    path.write_text(text.replace(marker, _DMI_SHIM + marker))


def _name_links_plainly(root: Path) -> None:
    """Make `ip` print `enp7s0`, as at Hetzner, for what it calls `enp7s0@if2` here (docs/facts/lab.md#interfaces)."""
    path = root / "usr/bin/ip"
    program = path.read_bytes()
    if program.count(_NAME_AND_PEER) != 1:
        raise RootfsBuildError("the program ip is not as expected; its interface names need another correction")
    path.write_bytes(program.replace(_NAME_AND_PEER, _NAME_ALONE))
