"""The host operation about tokens on simulated hosts: it does what `hosts/scripts/set_token.sh` does."""

from __future__ import annotations

import json

from hetzner_k3s.lab.simulated.host import Host
from hetzner_k3s.lab.simulated.refusal import failed, precondition_changed
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.operations import Done, K3sRole, SetToken


async def set_token(host: Host, operation: SetToken, _: HostKeyKind) -> Done:
    """Set the line `token:`; with `revive` forget the password file and start k3s, which must not be up."""
    if not host.disk.config:
        raise failed("there is no /etc/rancher/k3s/config.yaml")
    unit = host.units.get(K3sRole.SERVER)
    etcd = host.server.etcd if host.server else None
    if operation.revive:
        if unit is None:
            raise failed("systemd: Unit k3s.service not found")
        if unit.facts().active == "active" or (etcd is not None and etcd.healthy):
            raise precondition_changed("k3s runs here, so it is not restarted")
    kept = [line for line in host.disk.config.splitlines() if not line.startswith("token:")]
    host.disk.config = "\n".join([f"token: {json.dumps(operation.token.reveal())}", *kept, ""])
    if operation.revive and unit is not None:
        unit.stop()
        host.disk.server.pop("PasswdFile", None)
        unit.start()
    return Done()
