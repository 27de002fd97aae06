"""A client of the lab's API and of its own interface below `/_lab`."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

_SECONDS = 30.0


class LabClient:
    """Talks to a running lab: `endpoint` ends in `/v1`; its own interface wants `admin_token`."""

    def __init__(self, endpoint: str, token: str, admin_token: str) -> None:
        self._endpoint = endpoint
        self._token = token
        self._admin_token = admin_token

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the Hetzner API, `path` from after `/v1`. Raises urllib.error.HTTPError."""
        return self._call(method, self._endpoint + path, body, self._token)

    def hosts(self) -> list[dict[str, Any]]:
        """List the hosts."""
        found: list[dict[str, Any]] = self.lab("GET", "hosts")["hosts"]
        return found

    def strike(self, host: str, fault: str, parameters: dict[str, str] | None = None) -> None:
        """Break something at a host, or heal it (hosts_admin.py lists the faults)."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        self.lab("POST", f"hosts/{host}/{fault}{query}")

    def lab(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the lab's own interface, `path` from after `/_lab/`."""
        return self._call(method, f"{self._endpoint.removesuffix('/v1')}/_lab/{path}", body, self._admin_token)

    def _call(self, method: str, url: str, body: dict[str, Any] | None, token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as refusal:
            refusal.add_note(f"{method} {url}: {refusal.read().decode(errors='replace')}")
            raise
        return json.loads(text) if text else {}
