"""The host operations about tokens on simulated hosts: they do what the scripts of their names do."""

from __future__ import annotations

import json

from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.refusal import failed, precondition_changed
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.operations.configuration import SetToken, WriteCaPin
from hetzner_k3s.model.operations.operation import Done, K3sRole


async def write_ca_pin(host: Host, operation: WriteCaPin, _: HostKeyKind) -> Done:
    """Do as `write_ca_pin.sh`."""
    held = host.disk.facts().config_token_ca
    if held not in {operation.before, operation.ca}:
        raise precondition_changed(f"its token pins the CA {held}, not {operation.before}")
    unit = host.units.get(K3sRole.AGENT)
    if operation.restart and (unit is None or unit.facts().active == "active"):
        raise precondition_changed("k3s runs here, so it is not restarted")
    old, new = f"K10{operation.before}::", f"K10{operation.ca}::"
    environment = host.disk.agent_environment
    if "K3S_TOKEN" in environment:
        environment["K3S_TOKEN"] = environment["K3S_TOKEN"].replace(old, new)
    if host.disk.config is not None:
        host.disk.config = host.disk.config.replace(old, new)
    if operation.restart and unit is not None:
        unit.stop()
        unit.start()
    return Done()


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
