"""Which key logs in, and what is said where none can: the operator's own agent, absent, dead or empty."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.adapters.test_ssh import LABEL, agent, with_key

from hetzner_k3s.adapters.ssh_login import login_options
from hetzner_k3s.model.errors import UnusableKey
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.operations.members import ReadMembers

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f another"


def test_an_agent_that_died_is_named_before_anything_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each host was asked in vain, and `status` said that no quorum was there."""
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone.sock"))
    target = HostTarget(server_id=1, name="m1", address="127.0.0.1", port=9, keys={LABEL: HostKeyKind.FINAL})
    with pytest.raises(UnusableKey, match=r"no SSH agent answers at .*gone\.sock"):
        asyncio.run(with_key(None).perform(target, ReadMembers()))


def test_an_agent_without_the_key_is_told_apart_from_hosts_that_refuse_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with agent(tmp_path / "agent.sock") as socket:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            with pytest.raises(UnusableKey, match="does not hold the key"):
                await login_options(None, OTHER_KEY)

    asyncio.run(asyncio.wait_for(run(), 30))
