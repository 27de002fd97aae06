"""The processes of k3s that a host's units run: `hosts.host.Processes`."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.k3s.k3s_agent import K3sAgent
from hetzner_k3s.lab.simulated.k3s.k3s_on_database import K3sOnDatabase
from hetzner_k3s.lab.simulated.k3s.k3s_server import K3sServer


class K3sProcesses:
    """Makes servers, with etcd or on a database, and agents."""

    def server(self, host: Host, flags: Flags) -> K3sServer:
        """Make one run of `k3s server`: etcd data that lies there is used whatever the configuration says."""
        on_database = flags.text("datastore-endpoint") and host.disk.drive.data is None
        return K3sOnDatabase(host, flags) if on_database else K3sServer(host, flags)

    def agent(self, host: Host, flags: Flags) -> K3sAgent:
        """Make one run of `k3s agent`."""
        return K3sAgent(host, flags)
