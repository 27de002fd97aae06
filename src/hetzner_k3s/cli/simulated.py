"""Where the ports of a simulated world are put together: the one place that knows both the adapters and the lab."""

from __future__ import annotations

import base64

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.lab.simulated.wires.hetzner_transport import ENDPOINT
from hetzner_k3s.lab.simulated.world import Session
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.ports import Ports


def ports(session: Session) -> Ports:
    """Return the ports of one run in a simulated world; nothing is open that would have to be closed."""
    return Ports(
        cloud=HetznerCloud(
            Secret(session.token),
            clock=session.clock,
            rng=session.rng.fork("hetzner"),
            endpoint=ENDPOINT,
            transport=session.hetzner,
        ),
        hosts=session.hosts,
        kube=K3sApi(
            hosts=session.hosts,
            forwarder=session.hosts,
            clock=session.clock,
            transport=lambda admin: session.kube.trusting(base64.b64decode(admin.ca)),
        ),
        local=session.local,
        host_keys=session.host_keys,
        clock=session.clock,
        rng=session.rng,
        objects=session.objects,
    )
