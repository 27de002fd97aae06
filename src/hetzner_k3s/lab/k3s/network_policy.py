"""What k3s' network policy controller does to the k3s that runs it: it may end it.

It waits until a cloud controller has taken the uninitialized taint off the Node, then looks for the interface that
holds the Node's address. Under an external cloud provider the kubelet does not correct that address (fixtures
second/01, runs/05-07), so on a host with another one k3s ends, about two seconds after READY, at every start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.control.cloud import is_waiting
from hetzner_k3s.lab.k3s.etcd_port import EtcdError
from hetzner_k3s.lab.k3s.flags import Flags
from hetzner_k3s.lab.k3s.logfmt import ShutdownRequested
from hetzner_k3s.lab.k3s.node import internal_ip

NO_INTERFACE = (
    "failed to start networking: unable to initialize network policy controller: error getting node subnet: "
    "failed to find interface with specified node ip"
)
_RETRY = 2.0


def is_enforced(flags: Flags) -> bool:
    """Check whether this k3s runs the controller at all."""
    return not flags.on("disable-network-policy")


async def enforce(find_node: Callable[[], Awaitable[Obj | None]], addresses: Callable[[], Collection[str]]) -> None:
    """Wait for the own Node to be initialized, then look for its address.

    Args:
        find_node: reads the own Node; None where there is none.
        addresses: gives those of this host's interfaces.

    Raises:
        ShutdownRequested: none of them is the Node's.
    """
    while True:
        try:
            node = await find_node()
        except (ApiError, EtcdError):
            node = None
        if node is not None and not is_waiting(node):
            break
        await asyncio.sleep(_RETRY)
    if internal_ip(node) not in addresses():
        raise ShutdownRequested(NO_INTERFACE)
