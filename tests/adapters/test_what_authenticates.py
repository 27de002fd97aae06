"""Only what we mean to send authenticates: no `.netrc`, no redirect; proxy variables are honoured."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.adapters.answering import Answer, answering
from tests.adapters.test_hostile_hetzner import NoWaiting

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.system import SystemRng
from hetzner_k3s.model.errors import CloudError
from hetzner_k3s.model.secrets import Secret

TOKEN = "the-token-of-the-file"
EMPTY = Answer(b'{"servers":[],"meta":{"pagination":{"last_page":1,"total_entries":0}}}')


@pytest.fixture(autouse=True)
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this machine a `.netrc` that has a login for everybody."""
    (tmp_path / ".netrc").write_text("default login somebody password from-netrc\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def ask(endpoint: str) -> None:
    cloud = HetznerCloud(Secret(TOKEN), clock=NoWaiting(), rng=SystemRng(), endpoint=endpoint)
    asyncio.run(cloud.servers())


def test_netrc_does_not_replace_the_hetzner_token() -> None:
    """Seen: a `default` entry of ~/.netrc was sent to Hetzner in place of the token."""
    with answering(lambda _method, _path: EMPTY) as api:
        ask(f"{api.url}/v1")
        assert [headers["Authorization"] for _, _, headers in api.asked] == [f"Bearer {TOKEN}"]


def test_no_redirect_takes_the_token_elsewhere() -> None:
    with answering() as elsewhere:
        moved = Answer(b"", 302, headers={"Location": f"{elsewhere.url}/v1/servers"})
        with answering(lambda _method, _path: moved) as api, pytest.raises(CloudError):
            ask(f"{api.url}/v1")
        assert elsewhere.asked == []


def test_a_proxy_that_the_environment_names_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _method, _path: EMPTY) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        ask("http://api.hetzner.test/v1")
        assert [path.partition("?")[0] for _, path, _ in proxy.asked] == ["http://api.hetzner.test/v1/servers"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with answering(lambda _method, _path: EMPTY) as api:
            ask(f"{api.url}/v1")
            assert len(api.asked) == 1
        assert len(proxy.asked) == 1
