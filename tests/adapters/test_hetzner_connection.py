"""What the connection to Hetzner promises whatever carries it: an end in time, few calls at once, known authorities."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.adapters.answering import Answer, answering
from tests.adapters.certificates import Certificates
from tests.adapters.test_hostile_hetzner import NoWaiting
from tests.adapters.test_what_authenticates import EMPTY, TOKEN

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.adapters.hetzner.connection import Connection
from hetzner_k3s.adapters.system import SystemRng
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.virtual_time import LoopClock, run
from hetzner_k3s.model.errors import CloudError, CloudRefused, CloudUnavailable, Fate
from hetzner_k3s.model.secrets import Secret

NAMED = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)

_HASHED = "aabdaf6b.0"
"""What `openssl rehash` names the certificate of `Certificates.authority`: after its subject."""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of proxies and authorities."""
    for name in NAMED:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Trickle(httpx2.AsyncByteStream):
    """An answer of which a byte comes every twenty seconds, for ever."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(20)
            yield b" "


class Carrier(httpx2.AsyncBaseTransport):
    """Answers by hand, and counts how many are asked at once."""

    def __init__(self, *, trickles: bool = False) -> None:
        self.trickles, self.now, self.most, self.closed = trickles, 0, 0, False

    async def handle_async_request(self, _request: httpx2.Request) -> httpx2.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(1)
        self.now -= 1
        if self.trickles:
            return httpx2.Response(201, stream=Trickle())
        return httpx2.Response(404, json={"error": {"code": "not_found", "message": "gone"}})

    async def aclose(self) -> None:
        self.closed = True


def carried(carrier: Carrier) -> HetznerCloud:
    return HetznerCloud(Secret(TOKEN), clock=LoopClock(), rng=Chance(1), transport=carrier)


def test_an_answer_without_an_end_is_given_up_in_two_minutes_of_virtual_time() -> None:
    async def tell() -> float:
        with pytest.raises(CloudUnavailable, match="did not end within 120 s") as failed:
            await carried(Carrier(trickles=True))._api.post("/servers", {})
        assert failed.value.fate is Fate.MAY_HAVE_HAPPENED
        return asyncio.get_running_loop().time()

    assert run(tell()) == pytest.approx(120)


def test_ten_calls_at_most_are_on_their_way_at_once() -> None:
    async def tell() -> None:
        carrier = Carrier()
        cloud = carried(carrier)
        found = await asyncio.gather(*(cloud.server_exists(number) for number in range(1, 36)))
        assert not any(found)
        assert carrier.most == 10
        await cloud.close()
        assert carrier.closed

    run(tell())


def ask(endpoint: str) -> None:
    async def tell() -> None:
        cloud = HetznerCloud(Secret(TOKEN), clock=NoWaiting(), rng=SystemRng(), endpoint=endpoint)
        try:
            await cloud.servers()
        finally:
            await cloud.close()

    asyncio.run(tell())


def test_a_login_in_the_url_does_not_replace_the_token() -> None:
    with answering(lambda _method, _path: EMPTY) as api:
        ask(f"http://somebody:password@127.0.0.1:{api.port}/v1")
        ((_, _, headers),) = api.asked
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        assert (headers["User-Agent"], headers["Accept"]) == ("hetzner-k3s", "application/json")


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_names_the_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    certificates = Certificates.made(tmp_path)
    with answering(lambda _method, _path: EMPTY, tls=certificates.served()) as api:
        with pytest.raises(CloudUnavailable, match=r"(?i)certificate") as failed:
            ask(f"https://127.0.0.1:{api.port}/v1")
        assert failed.value.fate is Fate.DID_NOT_HAPPEN
        monkeypatch.setenv(name, str(certificates.authority))
        ask(f"https://127.0.0.1:{api.port}/v1")
        assert len(api.asked) == 1


def test_a_folder_of_authorities_is_as_good_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = Certificates.made(tmp_path)
    folder = tmp_path / "authorities"
    folder.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    with answering(lambda _method, _path: EMPTY, tls=certificates.served()) as api:
        with pytest.raises(CloudUnavailable, match=r"(?i)certificate"):
            ask(f"https://127.0.0.1:{api.port}/v1")
        certificates.authority.rename(folder / _HASHED)
        ask(f"https://127.0.0.1:{api.port}/v1")
        assert len(api.asked) == 1


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(CloudRefused, match="REQUESTS_CA_BUNDLE names authorities that cannot be read"):
        ask("https://127.0.0.1:9/v1")


@pytest.mark.parametrize("proxy", ["gopher://127.0.0.1:9", "socks5://127.0.0.1:9", "http://127.0.0.1:port"])
def test_a_proxy_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(CloudRefused, match="cannot be asked"):
        ask("http://api.hetzner.test/v1")


def test_a_proxy_that_lets_nobody_through_did_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _method, _path: Answer(b"", 403)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(CloudError) as failed:
            ask("https://api.hetzner.test/v1")
        assert failed.value.fate is Fate.DID_NOT_HAPPEN


@pytest.mark.parametrize(
    "endpoint", ["", "http://", "http://[::1", "http://a.b:99999999/v1", f"http://{'a' * 80}.x/v1"]
)
def test_an_endpoint_that_nobody_can_ask_is_a_typed_error(endpoint: str) -> None:
    with pytest.raises(CloudError):
        ask(endpoint)


class FewLeft(httpx2.AsyncBaseTransport):
    """Answers that a tenth of the requests is left."""

    async def handle_async_request(self, _request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"RateLimit-Limit": "100", "RateLimit-Remaining": "10"}, json={})


def test_only_who_is_told_to_leaves_the_last_requests_to_repairs() -> None:
    async def story() -> list[int]:
        clock = LoopClock()
        api = Api(Secret(TOKEN), Connection("http://hetzner.test/v1", clock, FewLeft()), clock, Chance(1, "jitter"))
        waits = []
        for call in (
            api.get("/servers"),
            api.post("/servers", {}),
            api.repeatable_post("/servers/1/actions/poweron", {}),
            api.put("/servers/1", {}),
            api.delete("/servers/1"),
            api.post("/servers", {}, patient=True),
        ):
            began = clock.monotonic()
            await call
            waits.append(round(clock.monotonic() - began))
        return waits

    assert run(story()) == [0, 0, 0, 0, 0, 36]
