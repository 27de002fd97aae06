"""Which kubeconfig the Kubernetes adapter goes by, over real TLS, when a master is another cluster's than before."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from aiohttp import web
from tests.adapters.test_kube import MASTER, HastyClock
from tests.k3s.memory_kv import MemoryKeyValues

from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.adapters.kube_session import over_tls
from hetzner_k3s.hosts.admin_kubeconfig import AdminKubeconfig
from hetzner_k3s.lab.k3s.api.http import ApiFace, json_response
from hetzner_k3s.lab.k3s.api.resources import NAMESPACES
from hetzner_k3s.lab.k3s.api.status import failure
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.serving import first_objects
from hetzner_k3s.lab.k3s.trust.certificates import Issuer, authority
from hetzner_k3s.lab.k3s.trust.pki import kubeconfig
from hetzner_k3s.model.errors import KubeError
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.operations.operation import Operation
from hetzner_k3s.model.secrets import Secret


class Access:
    """Gives the kubeconfig that lies on the host now, at a port that never changes: the SSH connection lives on."""

    def __init__(self) -> None:
        self.port, self.text, self.read = 0, "", 0

    async def perform(self, _target: HostTarget, _operation: Operation[Any]) -> Secret:
        self.read += 1
        return Secret(self.text)

    async def forward(self, _target: HostTarget, _port: int) -> int:
        return self.port


@asynccontextmanager
async def cluster(access: Access, place: Path, *, admits: bool = True) -> AsyncIterator[str]:
    """Let a new cluster's API answer at the port; give the UID that it is known by."""
    now = datetime.datetime.now(datetime.UTC)
    ca = authority("k3s-server-ca", now)
    issuer = Issuer(ca)
    served = issuer.sign("kube-apiserver", now, server_names=("localhost", "127.0.0.1"))
    (place / "pair").write_bytes(served.certificate + served.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "pair")
    store = Store(MemoryKeyValues())
    await first_objects.ensure(store)
    face = ApiFace(store, "127.0.0.1", "v1.36.3+k3s1")

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await face.handle(request) if admits else json_response(failure(401, "Unauthorized"), 401)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", access.port, ssl_context=context).start()
    access.port = cast(int, runner.addresses[0][1])
    access.text = kubeconfig("https://127.0.0.1:6443", ca.certificate, issuer.sign("admin", now))
    namespace = await store.find(NAMESPACES, "kube-system")
    assert namespace is not None
    try:
        yield namespace["metadata"]["uid"]
    finally:
        await runner.cleanup()


def test_a_master_that_joined_another_cluster_is_asked_with_that_ones_kubeconfig(tmp_path: Path) -> None:
    """Fenced and joined to the other side of a split, its API was silent to the run that had done it (storm 76)."""

    async def test() -> None:
        access = Access()
        api = K3sApi(hosts=cast(Any, access), forwarder=access, clock=HastyClock())
        async with cluster(access, tmp_path) as uid:
            assert (await api.view(MASTER)).uid == uid
        async with cluster(access, tmp_path) as other:
            assert (await api.view(MASTER)).uid == other != uid
            assert (await api.view(MASTER)).uid == other
        assert access.read == 2
        await api.close()

    asyncio.run(test())


def test_an_api_that_refuses_its_own_hosts_kubeconfig_is_asked_by_one_client(tmp_path: Path) -> None:
    """An expired certificate is refused at each look, for minutes: a client a look used up all open files."""
    made: list[AdminKubeconfig] = []

    def transport(admin: AdminKubeconfig) -> httpx2.AsyncBaseTransport:
        made.append(admin)
        return over_tls(admin)

    async def test() -> None:
        access = Access()
        api = K3sApi(hosts=cast(Any, access), forwarder=access, clock=HastyClock(), transport=transport)
        async with cluster(access, tmp_path, admits=False):
            for _ in range(3):
                with pytest.raises(KubeError, match="Unauthorized"):
                    await api.view(MASTER)
        assert len(made) == 1
        assert access.read == 1 + 3, "the kubeconfig of now is looked at each time it is refused"
        await api.close()

    asyncio.run(test())


def test_another_authoritys_certificate_is_refused_whatever_the_clock(tmp_path: Path) -> None:
    async def test() -> None:
        access = Access()
        api = K3sApi(hosts=cast(Any, access), forwarder=access, clock=HastyClock())
        async with cluster(access, tmp_path):
            now = datetime.datetime.now(datetime.UTC)
            stranger = authority("k3s-server-ca", now)
            pair = Issuer(stranger).sign("admin", now)
            access.text = kubeconfig("https://127.0.0.1:6443", stranger.certificate, pair)
            with pytest.raises(KubeError, match="CERTIFICATE_VERIFY_FAILED"):
                await api.view(MASTER)
        await api.close()

    asyncio.run(test())
