"""The same operations on real etcd processes, on the loopback device."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from .etcd_model_world import address, slot_of
from .etcd_operations import SLOTS, Operation, Picture, Seen, refusal
from .etcd_wires import Wires

PATIENCE: Final = 20.0
"""Seconds for an answer that is expected to come, and for members to come to rest."""

IMPATIENCE: Final = 3.0
"""Seconds after which an answer that is not expected counts as none."""

_MOMENT: Final = 1.0
"""Seconds given to what a member tells by itself."""

CONNECTED: Final = 6.0
"""Seconds of rest before a member is added: etcd wants a voter to have been connected for 5."""

_FIRST: Final = ("nice", "--adjustment=-15")
"""Before all else on this machine: a leader that is kept from its heartbeats for a second loses its place."""

_LOOK: Final = 0.1
_SILENT: Final = ("no leader", "timed out", "deadline exceeded")
_BEHIND: Final = "in sync with leader"
_STOPPED: Final = "server stopped"
_ACTIVE: Final = re.compile(r'^etcd_network_active_peers\{.*Remote="([0-9a-f]+)"\} 1$', re.MULTILINE)
_KEY: Final = base64.b64encode(b"k").decode()


class NoAnswer(Exception):
    """etcd did not answer in time, or said that nobody leads."""


class Refused(Exception):
    """etcd refused; the text is its message."""


def peer_url(slot: int) -> str:
    """Give the peer URL that a slot advertises."""
    return f"http://{address(slot)}:2380"


def _free_ports() -> Iterator[int]:
    """Give ports that nobody listens on, each once: below those that outgoing connections take."""
    for port in range(20_000, 32_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                yield port


_PORTS: Final = _free_ports()


@dataclass(frozen=True)
class Programs:
    """Where Debian's etcd is: the folder of its programs."""

    folder: Path

    def path(self, name: str) -> str:
        """Give the path of one program."""
        return str(self.folder / name)


class RealWorld:
    """Members that are processes; their data lies below `base`."""

    def __init__(self, programs: Programs, base: Path) -> None:
        self._programs, self._base = programs, base
        self._clients = {slot: next(_PORTS) for slot in SLOTS}
        self._wires = Wires({slot: next(_PORTS) for slot in SLOTS})
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._http = aiohttp.ClientSession()
        self._settled_at = 0.0
        self._connections: dict[int, frozenset[int]] = {}
        self._slots: dict[int, int] = {}
        """Of every member id that was ever listed, its slot."""
        self.patience = PATIENCE
        """Seconds for the next answer."""

    async def close(self) -> None:
        """End all processes."""
        for slot in list(self._processes):
            await self._stop(slot)
        self._wires.take_down()
        await self._http.close()

    async def begin(self, size: int) -> None:
        """Start a new cluster of so many members at once."""
        await self._wires.lay()
        slots = range(1, size + 1)
        for slot in slots:
            await self._start(slot, "--initial-cluster-state=new", self._cluster(*slots))

    def _cluster(self, *slots: int) -> str:
        return "--initial-cluster=" + ",".join(f"m{slot}={peer_url(slot)}" for slot in slots)

    async def _start(self, slot: int, *options: str) -> None:
        client = f"http://127.0.0.1:{self._clients[slot]}"
        proxy = f"http://127.0.0.1:{self._wires.proxies[slot]}"
        log = (self._base / f"log.{slot}").open("ab")
        self._processes[slot] = await asyncio.create_subprocess_exec(
            *_FIRST,
            self._programs.path("etcd"),
            f"--name=m{slot}",
            f"--data-dir={self._data(slot)}",
            f"--listen-peer-urls=http://127.0.0.1:{self._wires.ports[slot]}",
            f"--initial-advertise-peer-urls={peer_url(slot)}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            "--heartbeat-interval=100",
            "--election-timeout=1000",
            "--unsafe-no-fsync",
            "--log-level=warn",
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"HTTP_PROXY": proxy, "http_proxy": proxy},
        )
        log.close()

    def _data(self, slot: int) -> Path:
        return self._base / f"m{slot}"

    async def _stop(self, slot: int) -> None:
        process = self._processes.pop(slot)
        if process.returncode is None:
            process.kill()
        await process.wait()

    def running(self, slot: int) -> bool:
        """Tell whether a slot's process runs."""
        return slot in self._processes and self._processes[slot].returncode is None

    # --- asking

    async def _ask(self, slot: int, path: str, body: dict[str, Any], patience: float) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._clients[slot]}/v3/{path}"
        try:
            async with self._http.post(url, json=body, timeout=aiohttp.ClientTimeout(total=patience)) as response:
                answer: dict[str, Any] = json.loads(await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as problem:
            raise NoAnswer(f"{path}: {problem}") from problem
        if message := str(answer.get("message") or answer.get("error") or ""):
            raise NoAnswer(message) if any(text in message for text in _SILENT) else Refused(message)
        return answer

    async def _listed(self, slot: int, patience: float) -> list[dict[str, Any]]:
        try:
            answer = await self._ask(slot, "cluster/member/list", {"linearizable": False}, patience)
        except Refused as refused:
            if "not supported for learner" in str(refused):
                return []
            raise
        rows: list[dict[str, Any]] = answer.get("members", [])
        self._slots |= {int(row["ID"]): slot_of(row["peerURLs"][0]) for row in rows}
        return rows

    async def _connected(self, slot: int) -> frozenset[int]:
        url = f"http://127.0.0.1:{self._clients[slot]}/metrics"
        try:
            async with self._http.get(url, timeout=aiohttp.ClientTimeout(total=_MOMENT)) as response:
                metrics = await response.text()
        except (TimeoutError, aiohttp.ClientError, OSError) as problem:
            raise NoAnswer(str(problem)) from problem
        return frozenset(self._slots.get(int(number, 16), 0) for number in _ACTIVE.findall(metrics))

    async def _id(self, operation: Operation) -> str:
        # As patient as for what is asked then: a busy machine once let a second pass, told as etcd's own silence.
        rows = await self._listed(operation.via, self.patience)
        return next((row["ID"] for row in rows if slot_of(row["peerURLs"][0]) == operation.slot), "1")

    async def picture(self) -> Picture:
        up = [slot for slot in SLOTS if self.running(slot)]
        return Picture(dict(zip(up, await asyncio.gather(*map(self._told, up)), strict=True)))

    async def _told(self, slot: int) -> Seen | None:
        try:
            return await self._seen(slot)
        except NoAnswer:
            return None

    async def _seen(self, slot: int) -> Seen:
        status = await self._ask(slot, "maintenance/status", {}, _MOMENT)
        stored = await self._ask(slot, "kv/range", {"key": _KEY, "serializable": True}, _MOMENT)
        members = {
            slot_of(row["peerURLs"][0]): ("learner" if row.get("isLearner") else "voter")
            + ("" if row.get("name") else "?")
            for row in await self._listed(slot, _MOMENT)
        }
        values = [base64.b64decode(row["value"]).decode() for row in stored.get("kvs", ())]
        keys = {"k": values[0]} if values else {}
        connected, revision = await self._connected(slot), int(stored["header"].get("revision", 0))
        if members:  # etcd's metric may go on to count one that was removed in the middle of a connection
            connected &= members.keys()
        # A leader that was killed is spoken of until the election: only one that can be talked to leads.
        learner = status.get("isLearner", False)
        led = not learner and self._slots.get(int(status.get("leader", "0"))) in {slot, *connected}
        return Seen(led, keys, revision, members, connected)

    async def comes_to(self, expected: Picture, *, restless: bool) -> Picture:
        """Wait until the members look like this; give how they look in the end. `restless`: somebody came or went."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + PATIENCE
        while True:
            seen = await self.picture()
            if seen == expected or loop.time() > ends:
                changed = self._connections != _connections(seen)
                self._settled_at = loop.time() if changed or restless else self._settled_at
                self._connections = _connections(seen)
                return seen
            await asyncio.sleep(_LOOK)

    # --- operations

    async def carry_out(self, operation: Operation) -> str:
        try:
            await getattr(self, f"_{operation.what.replace(' ', '_')}")(operation)
        except NoAnswer:
            return "unavailable"
        except Refused as refused:
            return refusal(str(refused))
        return "ok"

    async def _write(self, operation: Operation) -> None:
        value = base64.b64encode(str(operation.slot).encode()).decode()
        await self._ask(operation.via, "kv/put", {"key": _KEY, "value": value}, self.patience)

    async def _rest(self) -> None:
        """Let those that are connected have been so for long enough."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._settled_at + CONNECTED - loop.time()))

    async def _add(self, operation: Operation) -> None:
        await self._rest()
        await self._add_at_once(operation)

    async def _add_at_once(self, operation: Operation) -> None:
        body = {"peerURLs": [peer_url(operation.slot)], "isLearner": True}
        await self._ask(operation.via, "cluster/member/add", body, self.patience)

    async def _promote(self, operation: Operation) -> None:
        loop, body = asyncio.get_running_loop(), {"ID": await self._id(operation)}
        ends = loop.time() + CONNECTED
        while True:
            try:
                await self._ask(operation.via, "cluster/member/promote", body, self.patience)
                return
            except Refused as refused:
                # How far the leader knows a member to be is in nothing that members tell: on a busy machine it may
                # lag behind what they do, for voters too.
                if _BEHIND not in str(refused) or loop.time() > ends:
                    raise
            await asyncio.sleep(_LOOK)

    async def _remove(self, operation: Operation) -> None:
        await self._rest()
        await self._remove_at_once(operation)

    async def _remove_at_once(self, operation: Operation) -> None:
        try:
            await self._ask(operation.via, "cluster/member/remove", {"ID": await self._id(operation)}, self.patience)
        except Refused as refused:
            if operation.slot != operation.via or _STOPPED not in str(refused):
                raise  # but a member that removes itself may end before it answers; what is seen then tells

    async def _join(self, operation: Operation) -> None:
        others = [slot_of(row["peerURLs"][0]) for row in await self._listed(operation.via, PATIENCE) if row.get("name")]
        await self._start(operation.slot, "--initial-cluster-state=existing", self._cluster(*others, operation.slot))

    async def _restart(self, operation: Operation) -> None:
        await self._start(operation.slot)

    async def _kill(self, operation: Operation) -> None:
        await self._stop(operation.slot)

    async def _wipe(self, operation: Operation) -> None:
        shutil.rmtree(self._data(operation.slot))

    async def _cut(self, operation: Operation) -> None:
        self._wires.cut.add(operation.slot)
        self._wires.silence()

    async def _mend(self, operation: Operation) -> None:
        self._wires.cut.discard(operation.slot)

    async def _reset(self, operation: Operation) -> None:
        await self._start(operation.slot, "--force-new-cluster")

    async def _save(self, operation: Operation) -> None:
        endpoint = f"--endpoints=http://127.0.0.1:{self._clients[operation.via]}"
        await self._tool("etcdctl", endpoint, "snapshot", "save", str(self._base / "saved"))

    async def _restore(self, operation: Operation) -> None:
        slot = operation.slot
        shutil.rmtree(self._data(slot), ignore_errors=True)
        place = (f"--name=m{slot}", self._cluster(slot), f"--initial-advertise-peer-urls={peer_url(slot)}")
        saved = str(self._base / "saved")
        await self._tool("etcdutl", "snapshot", "restore", saved, *place, f"--data-dir={self._data(slot)}")
        await self._start(slot)

    async def _tool(self, name: str, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            self._programs.path(name),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"ETCDCTL_API": "3"},
        )
        printed, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        if process.returncode != 0:
            raise RuntimeError(f"{name} {arguments}: {printed.decode()}")


def _connections(picture: Picture) -> dict[int, frozenset[int]]:
    return {slot: seen.connected for slot, seen in picture.running.items() if seen is not None}
