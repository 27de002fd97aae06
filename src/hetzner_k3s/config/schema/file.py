"""The configuration file of hetzner-k3s 2.x, key by key: names, types, defaults.

See docs/facts/compatibility.md#root-keys and docs/facts/compatibility.md#datastore.

What a key of one section asks of another is in `rules`, what has no effect yet in `support`, where old keys went in
`moved`. `docs/reference/configuration.md` is made from these models: descriptions are for users.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from hetzner_k3s.config.schema.addons import Addons
from hetzner_k3s.config.schema.networking import Networking
from hetzner_k3s.config.schema.pools import MastersPool, WorkerPool
from hetzner_k3s.config.schema.scalars import Command, Flag, SecretText, Text, Version, WholeNumber, text_of
from hetzner_k3s.config.schema.section import Section, required, section, setting

_Mode = Annotated[Literal["etcd", "external"], BeforeValidator(text_of)]


class Etcd(Section):
    """`datastore.etcd`."""

    snapshot_retention: WholeNumber = setting(24, "How many of its own snapshots k3s keeps.")
    snapshot_schedule_cron: Text = setting("0 * * * *", "When k3s makes them; empty for k3s' own schedule.")
    s3_enabled: Flag = setting(False, "Copy snapshots to S3.")
    s3_endpoint: Text = setting(
        "", "Host of the S3 service, HTTPS unless it is `http://host:port`; `$ETCD_S3_ENDPOINT` unless given."
    )
    s3_region: Text = setting("", "`$ETCD_S3_REGION` unless given.")
    s3_bucket: Text = setting("", "`$ETCD_S3_BUCKET` unless given.")
    s3_access_key: SecretText = setting(None, "`$ETCD_S3_ACCESS_KEY` unless given.")
    s3_secret_key: SecretText = setting(None, "`$ETCD_S3_SECRET_KEY` unless given.")
    s3_folder: Text = setting("", "Folder in the bucket; `cluster_name` unless given.")
    s3_force_path_style: Flag = setting(False, "Put the bucket into the path, not the host name.")


class Datastore(Section):
    """`datastore`."""

    mode: _Mode = setting("etcd", "`etcd` on the masters, or an `external` database. Cannot change.")
    external_datastore_endpoint: SecretText = setting(
        None, "URL of the external database: MySQL, PostgreSQL, NATS, etcd."
    )
    etcd: Etcd = section(Etcd, "Snapshots of etcd.")


class Configuration(Section):
    """The file."""

    hetzner_token: SecretText = setting(None, "API token of the Hetzner project; `$HCLOUD_TOKEN` unless given.")
    cluster_name: Text = required("my-cluster", "Name of the cluster and prefix of all names. Cannot change.")
    kubeconfig_path: Text = required("./kubeconfig", "Where the kubeconfig is written.")
    k3s_version: Version = required("v1.36.3+k3s1", "Release of k3s.")
    config_format_version: Text | None = setting(None, "`1`, if given.")
    api_server_hostname: Text | None = setting(None, "A further name of the API, for its certificate.")
    schedule_workloads_on_masters: Flag = setting(False, "Let pods run on masters; no worker pool is needed then.")
    masters_pool: MastersPool = required({}, "The masters.")
    worker_node_pools: list[WorkerPool] = setting([], "The workers.")
    additional_pre_k3s_commands: list[Command] = setting([], "Run on a new server before k3s is installed.")
    additional_post_k3s_commands: list[Command] = setting([], "Run on a new server once, after k3s was started.")
    additional_packages: list[Text] = setting([], "Packages to install on a new server.")
    kube_api_server_args: list[Text] = setting([], "Arguments of kube-apiserver, `name=value`.")
    kube_scheduler_args: list[Text] = setting([], "Arguments of kube-scheduler.")
    kube_controller_manager_args: list[Text] = setting([], "Arguments of kube-controller-manager.")
    kube_cloud_controller_manager_args: list[Text] = setting([], "Arguments of k3s' cloud controller.")
    cluster_autoscaler_args: list[Text] = setting([], "Arguments of the cluster autoscaler.")
    kubelet_args: list[Text] = setting([], "Arguments of the kubelet, on every node.")
    kube_proxy_args: list[Text] = setting([], "Arguments of kube-proxy, on masters.")
    image: Text = setting("ubuntu-24.04", "Image name, or id of a snapshot.")
    autoscaling_image: Text | None = setting(None, "Image of autoscaled nodes; `image` unless given.")
    snapshot_os: Text = setting("default", "`microos` for snapshots of openSUSE MicroOS.")
    networking: Networking = section(Networking, "Networks, firewall, SSH.")
    datastore: Datastore = section(Datastore, "Where Kubernetes keeps its state.")
    addons: Addons = section(Addons, "What is installed in the cluster.")
    include_instance_type_in_instance_name: Flag = setting(False, "Put the server type into servers' names.")
    protect_against_deletion: Flag = setting(True, "`delete` refuses.")
    create_load_balancer_for_the_kubernetes_api: Flag = setting(
        False, "A load balancer before the API, with more than one master. Hetzner's firewall does not cover it."
    )
    k3s_upgrade_concurrency: WholeNumber = setting(1, "Workers upgraded at once.")
    grow_root_partition_automatically: Flag = setting(True, "Grow the root partition to the disk at first boot.")
