"""The section `networking` of the configuration file.

See docs/facts/compatibility.md#networking.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from hetzner_k3s.config.schema.scalars import (
    Addresses,
    Flag,
    Network,
    Networks,
    Ports,
    PortsOrAny,
    Text,
    WholeNumber,
    text_of,
)
from hetzner_k3s.config.schema.section import Section, section, setting


class Flannel(Section):
    """`networking.cni.flannel`."""

    disable_kube_proxy: Flag = setting(
        False, "With flannel, as in 2.6: kube-proxy gets no arguments, but keeps running."
    )


class Cilium(Section):
    """`networking.cni.cilium`."""

    chart_version: Text = setting("v1.17.2", "Version of Cilium's Helm chart.")
    helm_values_path: Text | None = setting(None, "A values file that replaces all values made here.")
    encryption_type: Text | None = setting(None, "`wireguard` unless given.")
    routing_mode: Text | None = setting(None, "`tunnel` unless given.")
    tunnel_protocol: Text | None = setting(None, "`vxlan` unless given.")
    hubble_enabled: Flag | None = setting(None, "Hubble; on unless given.")
    hubble_metrics: Text | None = setting(None, "Hubble's metrics, separated by blanks or commas.")
    hubble_relay_enabled: Flag | None = setting(None, "Hubble's relay; on unless given.")
    hubble_ui_enabled: Flag | None = setting(None, "Hubble's web page; on unless given.")
    k8s_service_host: Text | None = setting(None, "Where agents reach the API; `127.0.0.1` unless given.")
    k8s_service_port: WholeNumber | None = setting(None, "Its port; 6444 unless given.")
    operator_replicas: WholeNumber | None = setting(None, "1 unless given.")
    operator_memory_request: Text | None = setting(None, "`128Mi` unless given.")
    agent_memory_request: Text | None = setting(None, "`512Mi` unless given.")


class Cni(Section):
    """`networking.cni`."""

    enabled: Flag = setting(True, "Install a CNI; false leaves nodes without one until you bring your own.")
    mode: Annotated[Literal["flannel", "cilium"], BeforeValidator(text_of)] = setting("flannel", "Which CNI.")
    encryption: Flag = setting(True, "Encrypt pod traffic between nodes with WireGuard. Cannot change after birth.")
    cilium_egress_gateway: Flag = setting(False, "Cilium's egress gateway.")
    flannel: Flannel = section(Flannel, "Settings of flannel.")
    cilium: Cilium = section(Cilium, "Settings of Cilium.")


class PrivateNetwork(Section):
    """`networking.private_network`."""

    enabled: Flag = setting(True, "Connect the servers through a Hetzner network.")
    subnet: Network = setting("10.0.0.0/16", "Range of the network; also of an existing one, the firewall opens it.")
    existing_network_name: Text = setting("", "Use this network of the project instead of making one.")


class PublicNetwork(Section):
    """`networking.public_network`."""

    ipv4: Flag = setting(True, "Give every server a public IPv4 address.")
    ipv6: Flag = setting(True, "Give every server a public IPv6 network.")
    hetzner_ips_query_server_url: Text | None = setting(
        None, "Where the local firewall asks for the servers' addresses."
    )
    use_local_firewall: Flag = setting(
        False, "A firewall on each host instead of Hetzner's, without a private network."
    )


class FirewallRule(Section):
    """An entry of `networking.allowed_networks.custom_firewall_rules`."""

    description: Text | None = setting(None, "Shown at Hetzner; `Allow <PROTOCOL> <port>` unless given.")
    protocol: Annotated[Literal["tcp", "udp", "icmp", "esp", "gre"], BeforeValidator(text_of)] = setting(
        "tcp", "Protocol."
    )
    direction: Annotated[Literal["in", "out"], BeforeValidator(text_of)] = setting(
        "in", "Any rule with `out` makes Hetzner drop all other outgoing traffic."
    )
    port: PortsOrAny = setting("any", "Of tcp and udp only.")
    source_ips: list[Network] = setting([], "Of direction `in`: 1 to 100 networks.")
    destination_ips: list[Network] = setting([], "Of direction `out`: 1 to 100 networks.")

    @property
    def networks(self) -> list[str]:
        """Return the list that has an effect with this direction; the other is never sent."""
        return self.source_ips if self.direction == "in" else self.destination_ips


class AllowedNetworks(Section):
    """`networking.allowed_networks`."""

    ssh: list[Network] = setting(["0.0.0.0/0"], "Who may reach SSH.")
    api: list[Network] = setting(["0.0.0.0/0"], "Who may reach the Kubernetes API on the masters.")
    custom_firewall_rules: list[FirewallRule] = setting([], "More firewall rules, at most 40.")


class Ssh(Section):
    """`networking.ssh`."""

    port: WholeNumber = setting(22, "Port of sshd on every server.")
    use_agent: Flag = setting(False, "Take the private key from the SSH agent (keys with a passphrase).")
    use_private_ip: Flag = setting(False, "Reach servers and the API over the private network.")
    private_key_path: Text = setting("~/.ssh/id_rsa", "Your private key; not read with `use_agent`.")
    public_key_path: Text = setting("~/.ssh/id_rsa.pub", "The matching public key.")
    existing_ssh_key_name: Text = setting("", "Use this SSH key of the project instead of registering one.")


class Networking(Section):
    """`networking`."""

    cni: Cni = section(Cni, "Pod network.")
    private_network: PrivateNetwork = section(PrivateNetwork, "Network between the servers.")
    public_network: PublicNetwork = section(PublicNetwork, "Public addresses of the servers.")
    allowed_networks: AllowedNetworks = section(AllowedNetworks, "Who may come in.")
    ssh: Ssh = section(Ssh, "How servers are reached.")
    node_port_firewall_enabled: Flag = setting(True, "Open the node ports in the firewall.")
    node_port_range: Ports = setting("30000-32767", "The node ports to open.")
    cluster_cidr: Networks = setting("10.244.0.0/16", "Addresses of pods. Cannot change after birth.")
    service_cidr: Networks = setting("10.43.0.0/16", "Addresses of services. Cannot change after birth.")
    cluster_dns: Addresses = setting("10.43.0.10", "Address of the cluster's DNS, inside `service_cidr`.")
    cluster_domain: Text | None = setting(None, "`cluster.local` unless given. Cannot change after birth.")
