"""What servers of the healthy cluster use and do not take with them."""

from __future__ import annotations

from tests.decide.world import NETWORK, WORKER1, server_id_of

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import LoadBalancer
from hetzner_k3s.model.hetzner.belongings import Volume

CLAIMED_VOLUME = Volume(
    id=71,
    name="pvc-0b9a7c7e-8c1f-4a7e-9f57-0d2f6c1c9a11",
    size=10,
    server=server_id_of(WORKER1),
    labels={"managed-by": "csi-driver", "pvc-namespace": "default", "pvc-name": "data"},
)
"""A volume that Kubernetes made, where a pod of the first worker uses it."""

SERVICES_BALANCER = LoadBalancer(
    id=41,
    name="web",
    private_ips={NETWORK: "10.0.9.41"},
    labels={naming.LABEL_SERVICE_UID: "7c1f"},
    servers=frozenset({server_id_of(WORKER1)}),
)
"""A load balancer that the cloud controller made for a Service."""
