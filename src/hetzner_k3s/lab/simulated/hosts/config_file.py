"""The configuration of a k3s command on a simulated host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from hetzner_k3s.lab.k3s.setup.flags import Flags, merge
from hetzner_k3s.model.text.plain_yaml import read as read  # noqa: PLC0414  re-exported: what lies on a disk


def flags(
    command: str,
    text: str | None,
    *,
    permit: bool = False,
    agentless: bool = False,
    environment: Mapping[str, str] = MappingProxyType({}),
    arguments: Sequence[str] = (),
) -> Flags:
    """Return the configuration of a k3s command; `permit` is the birth permit in its environment.

    `agentless` says that the drop-in of a restore lies beside the file; `arguments` are those of a unit of 2.x.
    """
    permitted = {"K3S_CLUSTER_INIT": "true"} if permit else {}
    document = {**read(text or ""), **({"disable-agent": True} if agentless else {})}
    return merge(command, document, {**environment, **permitted}, arguments)
