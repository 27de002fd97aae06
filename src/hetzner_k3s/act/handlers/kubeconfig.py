"""Carries out the steps on the operator's machine: the kubeconfig, and the copy of the tokens."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.handlers.tokens import cluster_token, cluster_tokens
from hetzner_k3s.hosts.admin_kubeconfig import AdminKubeconfig, read_admin_kubeconfig
from hetzner_k3s.hosts.ca_bundle import ca_hash as bundle_hash
from hetzner_k3s.model.errors import WrongCluster
from hetzner_k3s.model.identity import token_ca
from hetzner_k3s.model.operations.looks import ReadSecret, SecretKind
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.steps import KeepTokens, WriteKubeconfig


async def write_kubeconfig(step: WriteKubeconfig, context: Context) -> Outcome:
    """Write a kubeconfig with a context for every way to the API, as the Crystal tool names them."""
    kept = context.ports.local.write_kubeconfig(await read_kubeconfig(step, context))
    others = f"; it held more, which stays, and as it was lies in {kept}" if kept is not None else ""
    context.say(context.spec.name, f"kubeconfig written to {step.target}{others}")
    return Outcome()


async def read_kubeconfig(step: WriteKubeconfig, context: Context) -> Secret:
    """Read the credentials off the healthy master `step.via`, and return the kubeconfig that the step describes.

    Raises:
        WrongCluster: that master is not of the cluster that the birth record names.
    """
    token = await cluster_token(context, step.via)
    target = context.target(step.via)
    admin = await context.ports.hosts.perform(target, ReadSecret(kind=SecretKind.KUBECONFIG))
    return with_contexts(
        read_admin_kubeconfig(admin, target.name),
        context.spec.name,
        step.servers,
        step.current,
        token_ca(token.reveal()),
    )


async def keep_tokens(step: KeepTokens, context: Context) -> Outcome:
    """Keep the cluster's tokens here; those of before a rotation stay, since older snapshots are sealed with them."""
    place = context.ports.local.keep_tokens(await cluster_tokens(context, step.via))
    context.say(step.target, f"its tokens are kept at {place}, readable by you alone")
    return Outcome()


def with_contexts(
    admin: AdminKubeconfig, cluster: str, servers: Mapping[str, str], current: str, ca_hash: str | None
) -> Secret:
    """Write a kubeconfig with what proves who the API and the admin are, and nothing else of the master's own.

    Args:
        admin: what a master's `/etc/rancher/k3s/k3s.yaml` holds.
        cluster: the cluster's name; the user is called so.
        servers: context name -> API URL.
        current: the context that is current.
        ca_hash: what the CA certificate must hash to (the `K10` part of the token).

    Raises:
        WrongCluster: the CA in `admin` is another one.
    """
    if bundle_hash(base64.b64decode(admin.ca)) != ca_hash:
        raise WrongCluster("the master's kubeconfig holds another CA than its token pins", hint="It was not written.")
    return _dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"certificate-authority-data": admin.ca, "server": url}}
                for name, url in servers.items()
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": cluster}} for name in servers],
            "current-context": current,
            "preferences": {},
            "users": [{"name": cluster, "user": admin.user()}],
        }
    )


def _dump(document: dict[str, Any]) -> Secret:
    yaml = YAML()
    yaml.width = 1 << 30  # ruamel folds long scalars otherwise, and base64 must stay on one line for humans' greps
    text = io.StringIO()
    yaml.dump(document, text)
    return Secret(text.getvalue())
