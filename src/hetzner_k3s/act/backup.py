"""Writes a backup: configuration, access, tokens, identity, and a snapshot that is saved for it.

It is everything that a restore on another machine needs; without the token a snapshot is worth nothing, and without the
agents' one, where the cluster has one, what is restored does not start again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Protocol

from hetzner_k3s.act import birth_record
from hetzner_k3s.act.context import Context
from hetzner_k3s.act.handlers.kubeconfig import with_contexts
from hetzner_k3s.act.handlers.tokens import cluster_tokens
from hetzner_k3s.hosts.admin_kubeconfig import read_admin_kubeconfig
from hetzner_k3s.model.errors import Fate, HostUnreachable, ProductError, SshStage
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.identity import token_ca
from hetzner_k3s.model.operations.looks import ReadSecret, SecretKind
from hetzner_k3s.model.operations.snapshots import SaveSnapshot, SendSnapshot
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text import wording
from hetzner_k3s.model.tokens import ClusterTokens

SNAPSHOT = "backup"


class Bundle(Protocol):
    """A backup that is being written: files for their owner alone, in a folder that appears when all are whole."""

    def add(self, name: str, text: Secret) -> None:
        """Write a text."""

    async def add_stream(self, name: str, pieces: AsyncIterator[bytes]) -> int:
        """Write what comes in pieces; gives its size in bytes."""


async def write_backup(context: Context, via: int, config: Secret, bundle: Bundle) -> None:
    """Write a backup through the healthy master `via` (a server id); `config` is the text of the configuration file.

    Raises:
        WrongCluster: that master is not of the cluster that the birth record names.
    """
    target = context.target(via)
    tokens = await cluster_tokens(context, via)
    bundle.add("cluster.yaml", config)
    bundle.add("token", tokens.server)
    if tokens.agent is not None:
        bundle.add("agent-token", tokens.agent)
    admin = await context.ports.hosts.perform(target, ReadSecret(kind=SecretKind.KUBECONFIG))
    own = {"default": "https://127.0.0.1:6443"}
    read = read_admin_kubeconfig(admin, target.name)
    bundle.add("kubeconfig", with_contexts(read, "default", own, "default", token_ca(tokens.server.reveal())))
    snapshot = await _snapshot(context, target, bundle) if context.spec.database is None else None
    bundle.add("identity.json", Secret(_identity(context, tokens, snapshot)))


async def _snapshot(context: Context, target: HostTarget, bundle: Bundle) -> str:
    """Save a snapshot and copy it here; what lies in an external database is saved there, by its owner."""
    target = _saver(context, target)
    context.say(target.name, "saving a snapshot")
    saved = await context.ports.hosts.perform(target, SaveSnapshot(name=SNAPSHOT, fence=context.fence))
    size = await bundle.add_stream(saved.name, context.ports.hosts.stream(target, SendSnapshot(name=saved.name)))
    if size != saved.size:
        raise _torn(target.name, saved.name, size, saved.size)
    context.say(target.name, f"copied {saved.name} ({wording.size(size)})")
    return saved.name


def _saver(context: Context, through: HostTarget) -> HostTarget:
    """Choose the master that saves it: one of the same etcd whose k3s takes its own commands.

    Raises:
        ProductError: the token was rotated, and none of them was restarted since.
    """
    own = context.state.facts(through.server_id)
    if own is None or own.takes_commands:
        return through
    for server in context.state.view.servers:
        facts = context.state.facts(server.id)
        if facts is not None and facts.takes_commands and facts.votes_beside(own):
            context.say(through.name, f"takes no command since `k3s token rotate`; using {server.name} instead")
            return context.target_of(server)
    raise ProductError(
        f"{through.name}: k3s runs with the token from before `k3s token rotate`, and takes no command with the new "
        "one, and no other master answers",
        hint=f"Restart k3s there (`systemctl restart k3s` on {through.name}; `create` first writes the new token into "
        "its config.yaml), and run the command again.",
    )


def _torn(server: str, name: str, got: int, wanted: int) -> HostUnreachable:
    what = f"{server}: of the snapshot {name} came {got} bytes of {wanted}"
    return HostUnreachable(
        what, server=server, stage=SshStage.SESSION, fate=Fate.DID_NOT_HAPPEN, hint="Run the command again."
    )


def _identity(context: Context, tokens: ClusterTokens, snapshot: str | None) -> str:
    record = birth_record.recorded(context)
    facts = {
        "cluster": context.spec.name,
        "ca": record.ca,
        "uid": record.uid,
        "lineage": record.lineage,
        "token_hash": tokens.held.server,
        "agent_token_hash": tokens.held.agent,
        "snapshot": snapshot,
        "k3s_version": str(context.spec.k3s_version),
        "made": round(context.ports.clock.now()),
    }
    return json.dumps(facts, indent=2) + "\n"
