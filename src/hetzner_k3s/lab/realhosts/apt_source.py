"""Where this machine gets Debian packages from, as its own apt configuration says: this program names no mirror."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

# What decides whether apt reaches and trusts the archive; the rest of the machine's apt configuration (hooks that
# delete downloaded packages, for one) must not reach the build.
_CARRIED_OVER = ("Acquire::Check-", "Acquire::http", "Acquire::https", "Acquire::ForceIPv", "Acquire::Retries")


class NoAptSourceError(Exception):
    """This machine's apt names no Debian archive to build from."""


@dataclass(frozen=True, slots=True)
class AptSource:
    """A Debian archive (`uri`) and the apt options this machine needs to reach it."""

    uri: str
    options: tuple[str, ...]


def read_apt_source(os_release: Path = Path("/etc/os-release")) -> AptSource:
    """Find the archive that apt installs this machine's own Debian release from.

    Raises NoAptSourceError when apt has no such archive (another distribution, or no `apt-get update` yet).
    """
    release = _codename(os_release)
    rows = _output("apt-get", "indextargets", "--format", "$(CREATED_BY) $(RELEASE) $(REPO_URI)").splitlines()
    for row in rows:
        created_by, found, uri = row.split(maxsplit=2)
        if (created_by, found) == ("Packages", release):
            return AptSource(uri, _options(_output("apt-config", "dump")))
    raise NoAptSourceError(f"apt knows no archive for Debian {release!r}; is /etc/apt/sources.list* in order?")


def _codename(os_release: Path) -> str:
    entries = dict(line.split("=", 1) for line in os_release.read_text().splitlines() if "=" in line)
    if entries.get("ID") != "debian":
        raise NoAptSourceError(f"this is not Debian but {entries.get('ID', 'unknown')}")
    return entries.get("VERSION_CODENAME", "")


def _options(dump: str) -> tuple[str, ...]:
    lines = (line.strip().rstrip(";") for line in dump.splitlines())
    return tuple(line for line in lines if line.startswith(_CARRIED_OVER) and not line.endswith(' ""'))


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
