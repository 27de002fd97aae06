"""An agent's client-side load balancer: the API servers it knows, kept on disk (fixture host/etc_files_agent.txt)."""

from __future__ import annotations

import json
from pathlib import Path

from hetzner_k3s.lab.k3s.setup.paths import write


def merged(known: list[str], found: list[str]) -> list[str]:
    """Return the new list: servers that stay keep their turn, new ones come last, the others are dropped."""
    return [*(server for server in known if server in found), *(server for server in found if server not in known)]


class Balancer:
    """Chooses the server to talk to.

    Args:
        file: where the list is kept.
        server: the configured URL, used while nothing better is known.
    """

    def __init__(self, file: Path, server: str) -> None:
        self._file, self._server = file, server
        self.addresses: list[str] = []

    def load(self) -> None:
        """Read the list of an earlier run; one that was learned from another `server:` is forgotten (second/09)."""
        document = json.loads(self._file.read_text()) if self._file.exists() else {}
        if document.get("ServerURL") == self._server:
            self.addresses = [str(entry) for entry in document.get("ServerAddresses", [])]

    def candidates(self) -> list[str]:
        """List base URLs, best first; the configured one comes last once others are known."""
        known = [f"https://{address}" for address in self.addresses]
        return [*known, *([] if self._server in known else [self._server])]

    def choose(self) -> str:
        """Return the base URL to use now."""
        return self.candidates()[0]

    def failed(self, server: str) -> None:
        """Send a server that does not answer to the end of the list."""
        address = server.removeprefix("https://")
        if address in self.addresses:
            self.addresses.remove(address)
            self.addresses.append(address)

    def replace(self, found: list[str]) -> None:
        """Take over the cluster's list and keep it on disk."""
        self.addresses = merged(self.addresses, found)
        write(self._file, json.dumps({"ServerURL": self._server, "ServerAddresses": self.addresses}, indent=2), 0o644)
