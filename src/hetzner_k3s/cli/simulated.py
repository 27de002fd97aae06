"""Where the ports of a simulated world are put together: the one place that knows both the adapters and the lab."""

from __future__ import annotations

import base64
from functools import partial

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.hetzner.connection import Heard
from hetzner_k3s.adapters.kube import K3sApi
from hetzner_k3s.cli.recording import Recorder
from hetzner_k3s.cli.recording.opening import note_exchange
from hetzner_k3s.cli.recording.wrapped import RecordedHosts, recorded
from hetzner_k3s.lab.simulated.wires.hetzner_transport import ENDPOINT
from hetzner_k3s.lab.simulated.wires.obstacles import Obstructed
from hetzner_k3s.lab.simulated.world import Session
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.ports import Hosts, Ports


def ports(session: Session, recorder: Recorder | None = None) -> Ports:
    """Return the ports of one run in a simulated world; nothing is open that would have to be closed."""
    if recorder is None:
        return _ports(session, session.hosts, lambda _exchange: None)
    hosts = RecordedHosts(session.hosts, recorder, session.clock)
    return recorded(_ports(session, hosts, partial(note_exchange, recorder)), recorder)


def _ports(session: Session, hosts: Hosts, heard: Heard) -> Ports:
    return Ports(
        cloud=HetznerCloud(
            Secret(session.token),
            clock=session.clock,
            rng=session.rng.fork("hetzner"),
            endpoint=ENDPOINT,
            transport=Obstructed(session.hetzner, session.obstacles),
            heard=heard,
        ),
        hosts=hosts,
        kube=K3sApi(
            hosts=hosts,
            forwarder=session.hosts,
            clock=session.clock,
            transport=lambda admin: Obstructed(session.kube.trusting(base64.b64decode(admin.ca)), session.obstacles),
        ),
        local=session.local,
        host_keys=session.host_keys,
        clock=session.clock,
        rng=session.rng,
        objects=session.objects,
    )
