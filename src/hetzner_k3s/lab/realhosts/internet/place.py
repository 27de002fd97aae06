"""Where a program runs that knows the sites by their own names: another tool, which cannot be told another endpoint."""

from __future__ import annotations

from pathlib import Path

from hetzner_k3s.lab.realhosts.internet.sites import NAMES
from hetzner_k3s.lab.realhosts.network.links import GATEWAY

_HOSTS, _AUTHORITIES = "hosts", "authorities.pem"
_ENTER = 'mount --bind "$0" /etc/hosts && exec "$@"'


def name_lines() -> str:
    """Return the lines of /etc/hosts that lead to the sites."""
    return f"{GATEWAY} {' '.join(NAMES)}\n"


def prepare(folder: Path, authority: str) -> None:
    """Write what `entering` and `environment` name."""
    folder.mkdir()
    (folder / _HOSTS).write_text(f"127.0.0.1 localhost\n{name_lines()}")
    (folder / _AUTHORITIES).write_text(authority)


def entering(folder: Path, command: list[str]) -> list[str]:
    """Return the command line that runs `command` with the sites' names, seen by it and its children alone."""
    return ["unshare", "--mount", "sh", "-c", _ENTER, str(folder / _HOSTS), *command]


def environment(folder: Path) -> dict[str, str]:
    """Return what makes OpenSSL, Go, curl and Python's requests trust the sites, whatever the machine itself trusts."""
    return dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), str(folder / _AUTHORITIES))
