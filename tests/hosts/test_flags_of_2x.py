"""What a look reads off a host that hetzner-k3s 2.x set up: flags in its unit, a bare token beside it.

The unit is that of the recording second/27, which k3s' own installer wrote.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from hetzner_k3s.hosts.host_facts import disk_facts
from hetzner_k3s.hosts.shell import operation_script
from hetzner_k3s.model.host import DiskFacts
from hetzner_k3s.model.identity import token_hash
from hetzner_k3s.model.text.documents import Document

UNIT = """\
[Service]
ExecStart=/usr/local/bin/k3s \\
    server \\
\t'--disable-cloud-controller' \\
\t'--disable' \\
\t'traefik' \\
\t'--disable' \\
\t'servicelb' \\
\t'--write-kubeconfig-mode=644' \\
\t'--kube-scheduler-arg=bind-address=0.0.0.0' \\
\t'--node-taint' \\
\t'CriticalAddonsOnly=true:NoExecute' \\
\t'--kubelet-arg=cloud-provider=external' \\
\t'--kubelet-arg=resolv-conf=/etc/k8s-resolv.conf' \\
\t'--etcd-snapshot-retention=24' \\
\t'--etcd-snapshot-schedule-cron=0 */6 * * *' \\
\t'--etcd-s3-secret-key=hush' \\
\t'--cluster-init' \\
\t'--tls-san=10.0.0.16' \\
\t'--tls-san=127.0.0.1' \\

"""


def look(root: Path, **files: str) -> DiskFacts:
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text)
    script = operation_script("probe").replace("/etc/systemd/system", str(root)).replace("/etc/rancher/k3s", str(root))
    script = script.replace("/var/lib/rancher/k3s", str(root)).rpartition("done_with")[0] + "\ndisk_facts"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert "hush" not in done.stdout
    return disk_facts(Document.of(json.loads(done.stdout)))


def test_the_flags_are_compared_as_a_configuration_is(tmp_path: Path) -> None:
    disk = look(tmp_path, k3s_service=UNIT, k3s_service_env="K3S_TOKEN='secret'\n")
    assert disk.unit_flag == "--cluster-init"
    assert disk.server_by_flags
    assert disk.environment_token_hash == token_hash("secret")
    assert disk.config == {
        "disable": ("traefik", "servicelb"),
        "kube-scheduler-arg": ("bind-address=0.0.0.0",),
        "node-taint": ("CriticalAddonsOnly=true:NoExecute",),
        "kubelet-arg": ("cloud-provider=external", "resolv-conf=/etc/k8s-resolv.conf"),
        "etcd-snapshot-retention": ("24",),
        "etcd-snapshot-schedule-cron": ("0 */6 * * *",),
        "tls-san": ("10.0.0.16", "127.0.0.1"),
    }


def test_a_configuration_of_ours_counts_alone(tmp_path: Path) -> None:
    disk = look(tmp_path, k3s_service=UNIT, config_yaml='token: "secret"\netcd-snapshot-retention: 7\n')
    assert disk.config == {"etcd-snapshot-retention": ("7",)}
    assert disk.server_by_flags


def test_a_host_without_k3s_has_no_flags(tmp_path: Path) -> None:
    disk = look(tmp_path)
    assert (disk.unit_flag, disk.config, disk.environment_token_hash) == ("", None, None)
