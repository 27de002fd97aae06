"""Which SSH key logs in: that of the file, or the one of the agent that Hetzner was given."""

from __future__ import annotations

import os
from typing import Any

import asyncssh

from hetzner_k3s.model.errors import UnusableKey

_ADD_KEY = "Load the key into the agent (ssh-add), or name its file by networking.ssh.private_key_path."


async def login_options(private_key_path: str | None, public_key: str) -> dict[str, Any]:
    """Return asyncssh's options for root's login.

    Args:
        private_key_path: OpenSSH private key; None to use the agent at SSH_AUTH_SOCK.
        public_key: its public half, one line: the one key of the agent that is offered (sshd ends a login after six).

    Raises:
        UnusableKey: nobody could log in with it, whatever the hosts are like.
    """
    if private_key_path is not None:
        return {"client_keys": [_read_private_key(private_key_path)], "agent_path": None}
    socket = os.environ.get("SSH_AUTH_SOCK")
    if not socket:
        raise UnusableKey(
            "networking.ssh.use_agent is set, but no SSH agent is here (SSH_AUTH_SOCK is empty)",
            hint="Start one (eval $(ssh-agent); ssh-add), or name the key by private_key_path.",
        )
    key = asyncssh.import_public_key(public_key)
    if key.public_data not in await _keys_of_agent(socket):
        raise UnusableKey("the SSH agent does not hold the key of networking.ssh.public_key_path", hint=_ADD_KEY)
    return {"agent_path": socket, "agent_identities": [key]}


async def _keys_of_agent(socket: str) -> set[bytes]:
    try:
        async with asyncssh.connect_agent(socket) as agent:
            return {pair.public_data for pair in await agent.get_keys()}
    except (OSError, ValueError, asyncssh.Error, EOFError) as failure:
        raise UnusableKey(
            f"no SSH agent answers at {socket} (SSH_AUTH_SOCK): {failure or type(failure).__name__}", hint=_ADD_KEY
        ) from failure


def _read_private_key(path: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as failure:
        if "passphrase" not in str(failure).lower():  # there is no type of its own for this
            raise UnusableKey(
                f"the SSH private key {path} cannot be read: {failure}",
                hint="Name another one in networking.ssh.private_key_path, or set networking.ssh.use_agent: true.",
            ) from failure
    raise UnusableKey(
        f"the SSH private key {path} is encrypted",
        hint="Load it into an SSH agent (ssh-add) and set networking.ssh.use_agent: true.",
    )
