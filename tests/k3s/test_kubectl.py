"""What the real kubectl needs of the lab's API, asked of its HTTP face over keys in memory."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from aiohttp import web

from hetzner_k3s.lab.k3s.api.http import ApiFace
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.serving import first_objects

from .memory_kv import MemoryKeyValues

KUBECTL = shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl here")


def kubectl(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Run kubectl against a lab's API; give its exit code and all that it said."""

    async def run() -> tuple[int, str]:
        store = Store(MemoryKeyValues())
        await first_objects.ensure(store)
        runner = web.ServerRunner(web.Server(ApiFace(store, "127.0.0.1", "v1.36.3+k3s1").handle))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        options = (f"--server=http://127.0.0.1:{port}", f"--cache-dir={tmp_path}/cache", "--kubeconfig=/dev/null")
        try:
            process = await asyncio.create_subprocess_exec(
                str(KUBECTL), *options, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            said, _ = await asyncio.wait_for(process.communicate(), 60)
        finally:
            await runner.cleanup()
        return process.returncode or 0, said.decode()

    return asyncio.run(run())


def _manifest(tmp_path: Path) -> str:
    maps = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"note-{n}"}, "data": {"text": "kept"}}
        for n in range(3)
    ]
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": maps}))
    return str(file)


@pytest.mark.parametrize("options", [[], ["--server-side"], ["--validate=false"]])
def test_a_list_is_applied(tmp_path: Path, options: list[str]) -> None:
    code, said = kubectl(tmp_path, "apply", "-f", _manifest(tmp_path), *options)
    assert code == 0, said
    assert said.count("configmap/note-") == 3


def test_a_single_object_is_applied_and_validated_by_the_server(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {}}))
    code, said = kubectl(tmp_path, "apply", "-f", str(file))
    assert (code, said) == (0, "configmap/one created\n")
