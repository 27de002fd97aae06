"""A real etcd member: Debian's `etcd` as a child process, spoken to through its JSON gateway on 127.0.0.1:2382."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from hetzner_k3s.lab.k3s.etcd.port import (
    Change,
    Compacted,
    EtcdError,
    EtcdUnavailable,
    KeyValue,
    Launch,
    Member,
    Range,
    Status,
)
from hetzner_k3s.lab.k3s.setup.paths import Layout, directory, write

GATEWAY = "https://127.0.0.1:2382"
_UNAVAILABLE = (4, 14)  # gRPC: deadline exceeded, unavailable
_COMPACTED = "etcdserver: mvcc: required revision has been compacted"
_REMOVED_EXIT = 0  # a removed member's etcd ends itself, successfully


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change between starts of a member: where it keeps its files, where it listens, its raft clock."""

    layout: Layout
    address: str
    expose_metrics: bool
    heartbeat_ms: int
    election_ms: int


def configuration(settings: Settings, launch: Launch) -> dict[str, Any]:
    """Render etcd's configuration file (fixture host/etcd_config_m1.txt, without the corruption check: it would wait
    15 s for every dead peer at every start)."""
    tls, address = settings.layout.etcd_tls, settings.address
    document: dict[str, Any] = {
        "advertise-client-urls": f"https://{address}:2379",
        "client-transport-security": _transport(tls, "server-client", "server-ca"),
        "data-dir": str(settings.layout.etcd),
        "election-timeout": settings.election_ms,
        "heartbeat-interval": settings.heartbeat_ms,
        "listen-client-http-urls": GATEWAY,
        "listen-client-urls": f"https://127.0.0.1:2379,https://{address}:2379",
        "listen-metrics-urls": "http://127.0.0.1:2381" + (f",http://{address}:2381" if settings.expose_metrics else ""),
        "listen-peer-urls": f"https://127.0.0.1:2380,https://{address}:2380",
        "log-level": "error",
        "log-outputs": ["stderr"],
        "logger": "zap",
        "name": launch.name,
        "peer-transport-security": _transport(tls, "peer-server-client", "peer-ca"),
        "snapshot-count": 10000,
        "socket-options": {"reuse-address": True, "reuse-port": True},
    }
    if launch.peers or launch.force_new:
        peers = launch.peers or (f"{launch.name}=https://{address}:2380",)
        document |= {
            "initial-advertise-peer-urls": f"https://{address}:2380",
            "initial-cluster": ",".join(peers),
            "initial-cluster-state": "existing" if launch.existing else "new",
            "force-new-cluster": launch.force_new,
        }
    return document


def _transport(tls: Path, certificate: str, ca: str) -> dict[str, Any]:
    return {
        "cert-file": str(tls / f"{certificate}.crt"),
        "client-cert-auth": True,
        "key-file": str(tls / f"{certificate}.key"),
        "trusted-ca-file": str(tls / f"{ca}.crt"),
    }


def _encode(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()


def prefix_end(prefix: str) -> str:
    """Return the first key after all keys with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _members(answer: dict[str, Any]) -> tuple[Member, ...]:
    return tuple(
        Member(
            int(row["ID"]),
            row.get("name", ""),
            tuple(row.get("peerURLs", ())),
            tuple(row.get("clientURLs", ())),
            row.get("isLearner", False),
        )
        for row in answer.get("members", ())
    )


def _range(answer: dict[str, Any]) -> Range:
    rows = answer.get("kvs", ())
    entries = tuple(
        KeyValue(_decode(row["key"]), base64.b64decode(row.get("value", "")), int(row["mod_revision"])) for row in rows
    )
    return Range(int(answer["header"].get("revision", 0)), entries)


def _change(event: dict[str, Any]) -> Change:
    row, previous = event["kv"], event.get("prev_kv")
    deleted = event.get("type") == "DELETE"
    return Change(
        _decode(row["key"]),
        None if deleted else base64.b64decode(row.get("value", "")),
        base64.b64decode(previous.get("value", "")) if previous else None,
        int(row["mod_revision"]),
    )


class RealEtcd:
    """An `etcd_port.Etcd` on a child process. `close` releases the connections."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def ended(self) -> asyncio.Future[bool]:
        return self._ended

    async def start(self, launch: Launch) -> None:
        import yaml

        directory(self._settings.layout.etcd)
        config = self._settings.layout.etcd / "config"
        write(config, yaml.dump(configuration(self._settings, launch), Dumper=yaml.CSafeDumper))
        write(self._settings.layout.member_name, launch.name)
        self._stopping = False
        # The unit has KillMode=process: without the death signal an etcd would outlive a killed k3s.
        # And etcd would tell systemd that it is ready, which is not its business.
        environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        self._process = await asyncio.create_subprocess_exec(
            "setpriv",
            "--pdeathsig",
            "KILL",
            "etcd",
            "--config-file",
            str(config),
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        self._watcher = asyncio.create_task(self._watch_process(self._process))

    async def _watch_process(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if not self._stopping and not self._ended.done():
            self._ended.set_result(code == _REMOVED_EXIT)

    async def stop(self) -> None:
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 8)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await self.close()

    async def close(self) -> None:
        """Close the connections to the gateway."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = self._settings.layout.etcd_tls
            context = ssl.create_default_context(cafile=str(tls / "server-ca.crt"))
            context.load_cert_chain(tls / "client.crt", tls / "client.key")
            connector = aiohttp.TCPConnector(ssl=context, limit=0, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    async def _call(self, path: str, body: dict[str, Any], timeout: float = 10) -> dict[str, Any]:
        try:
            async with self._client().post(
                f"{GATEWAY}/v3/{path}", data=json.dumps(body), timeout=aiohttp.ClientTimeout(total=timeout)
            ) as response:
                answer: dict[str, Any] = json.loads(await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as problem:
            raise EtcdUnavailable("context deadline exceeded") from problem
        _raise_for(answer)
        return answer

    async def get(self, key: str) -> Range:
        return _range(await self._call("kv/range", {"key": _encode(key)}))

    async def list(self, prefix: str) -> Range:
        return _range(await self._call("kv/range", {"key": _encode(prefix), "range_end": _encode(prefix_end(prefix))}))

    async def put(self, key: str, value: bytes, expected: int, lease: int = 0) -> int | None:
        request = {"key": _encode(key), "value": base64.b64encode(value).decode(), "lease": str(lease)}
        return await self._if_unchanged(key, expected, {"request_put": request})

    async def delete(self, key: str, expected: int) -> int | None:
        return await self._if_unchanged(key, expected, {"request_delete_range": {"key": _encode(key)}})

    async def _if_unchanged(self, key: str, expected: int, operation: dict[str, Any]) -> int | None:
        compare = {"key": _encode(key), "target": "MOD", "mod_revision": str(expected), "result": "EQUAL"}
        answer = await self._call("kv/txn", {"compare": [compare], "success": [operation]})
        return int(answer["header"]["revision"]) if answer.get("succeeded") else None

    async def watch(self, prefix: str, start_revision: int) -> AsyncIterator[tuple[Change, ...]]:
        create = {
            "key": _encode(prefix),
            "range_end": _encode(prefix_end(prefix)),
            "start_revision": str(start_revision),
            "prev_kv": True,
        }
        body = json.dumps({"create_request": create})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        try:
            async with self._client().post(f"{GATEWAY}/v3/watch", data=body, timeout=timeout) as response:
                async for line in _lines(response.content):
                    answer = json.loads(line)
                    _raise_for(answer)
                    result = answer.get("result", {})
                    if result.get("canceled"):
                        raise Compacted(result.get("cancel_reason", _COMPACTED))
                    if events := result.get("events"):
                        yield tuple(_change(event) for event in events)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as problem:
            raise EtcdUnavailable("watch ended") from problem
        raise EtcdUnavailable("watch ended")

    async def grant(self, seconds: int) -> int:
        return int((await self._call("lease/grant", {"TTL": str(seconds)}))["ID"])

    async def keep_alive(self, lease: int) -> bool:
        answer = await self._call("lease/keepalive", {"ID": str(lease)})
        return int(answer.get("result", {}).get("TTL", 0)) > 0

    async def status(self) -> Status:
        answer = await self._call("maintenance/status", {}, timeout=5)
        header = answer["header"]
        return Status(
            int(header["cluster_id"]),
            int(header["member_id"]),
            int(header.get("revision", 0)),
            answer["version"],
            int(answer.get("leader", 0)),
            bool(answer.get("isLearner", False)),
            int(answer.get("raftTerm", 0)),
            int(answer.get("dbSize", 0)),
            int(answer.get("dbSizeInUse", 0)),
        )

    async def members(self) -> tuple[Member, ...]:
        return _members(await self._call("cluster/member/list", {"linearizable": True}, timeout=2))

    async def add_learner(self, peer_url: str) -> tuple[Member, ...]:
        return _members(await self._call("cluster/member/add", {"peerURLs": [peer_url], "isLearner": True}))

    async def promote(self, member_id: int) -> None:
        await self._call("cluster/member/promote", {"ID": str(member_id)})

    async def remove(self, member_id: int) -> None:
        await self._call("cluster/member/remove", {"ID": str(member_id)})

    async def move_leader(self, member_id: int) -> None:
        await self._call("maintenance/transfer-leadership", {"targetID": str(member_id)})

    async def snapshot(self, path: Path) -> int:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)
        partial = path.with_name(path.name + ".part")
        try:
            async with self._client().post(
                f"{GATEWAY}/v3/maintenance/snapshot", data="{}", timeout=timeout
            ) as response:
                with partial.open("wb") as file:
                    partial.chmod(0o600)
                    async for line in _lines(response.content):
                        answer = json.loads(line)
                        _raise_for(answer)
                        file.write(base64.b64decode(answer["result"].get("blob", "")))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as problem:
            raise EtcdUnavailable("failed to save snapshot") from problem
        return await asyncio.to_thread(_finish, partial, path)


def _finish(partial: Path, path: Path) -> int:
    partial.replace(path)
    return path.stat().st_size


def _raise_for(answer: dict[str, Any]) -> None:
    # Streams wrap an error ({"error": {...}}), plain answers are one ({"code": 5, "message": ...}).
    problem = answer.get("error", answer)
    if not isinstance(problem, dict) or "message" not in problem:
        return
    message, code = str(problem["message"]), int(problem.get("code") or problem.get("grpc_code") or 2)
    raise (EtcdUnavailable if code in _UNAVAILABLE else EtcdError)(message, code)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split a gateway stream into its JSON documents; a snapshot's lines are longer than aiohttp's own line limit."""
    rest = b""
    async for chunk in stream.iter_any():
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            if line:
                yield line
    if rest:
        yield rest
