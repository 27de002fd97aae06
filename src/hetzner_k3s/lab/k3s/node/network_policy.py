"""What k3s' network policy controller does to the k3s that runs it: it may end it.

It waits until a cloud controller has taken the uninitialized taint off the Node, then looks for the interface that
holds the Node's address. Under an external cloud provider the kubelet does not correct that address (fixtures
second/01, runs/05-07), so on a host with another one k3s ends, about two seconds after READY, at every start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.lab.k3s.logfmt import Log, ShutdownRequested
from hetzner_k3s.lab.k3s.node import initialization
from hetzner_k3s.lab.k3s.node.node_object import internal_ip
from hetzner_k3s.lab.k3s.setup.flags import Flags

NO_INTERFACE = (
    "failed to start networking: unable to initialize network policy controller: error getting node subnet: "
    "failed to find interface with specified node ip"
)


def is_enforced(flags: Flags) -> bool:
    """Check whether this k3s runs the controller at all."""
    return not flags.on("disable-network-policy")


async def enforce(
    find: Callable[[], Awaitable[Obj | None]], name: str, log: Log, addresses: Callable[[], Collection[str]]
) -> None:
    """Wait for the own Node `name`, that `find` reads, to be initialized; then look for its address.

    Args:
        find: reads the Node; None where there is none.
        name: of the Node.
        log: takes what it has to say meanwhile.
        addresses: gives those of this host's interfaces.

    Raises:
        ShutdownRequested: none of them is the Node's, or nobody initialized it.
    """
    await initialization.until_initialized(find, name, log)
    node = await initialization.read(find)
    if node is not None and internal_ip(node) not in addresses():
        raise ShutdownRequested(NO_INTERFACE)
