"""What steps are called when a person reads of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hetzner_k3s.model import steps

VERBS: Final[Mapping[type, str]] = {
    steps.EnsureSshKey: "register SSH key",
    steps.EnsureNetwork: "make network",
    steps.EnsureFirewall: "make firewall",
    steps.EnsurePlacementGroup: "make placement group",
    steps.EnsureLoadBalancer: "make load balancer",
    steps.CreateServer: "create server",
    steps.PowerOn: "power on",
    steps.StartMaster: "start k3s on",
    steps.StartWorker: "start k3s-agent on",
    steps.SecureHost: "replace boot host key of",
    steps.InstallK3s: "install k3s on",
    steps.RecordBirth: "record the cluster as",
    steps.InitControlPlane: "start the cluster on",
    steps.JoinControlPlane: "join master",
    steps.StartOnDatabase: "start on the external database",
    steps.MarkMember: "record as member",
    steps.RenewToken: "write the current token on",
    steps.PinCa: "write the rotated CA into the token of",
    steps.SaveSnapshot: "save snapshot",
    steps.WipeJoiner: "put the old data aside on",
    steps.RemoveMember: "remove etcd member of",
    steps.HoldMaster: "stop and hold down k3s on",
    steps.FetchDatabase: "copy the data here of",
    steps.FenceMember: "move aside the data of",
    steps.ResetQuorum: "reset quorum to",
    steps.AdoptCluster: "adopt the cluster of hetzner-k3s 2.x",
    steps.AdoptLineage: "record the new lineage of",
    steps.DeleteNode: "delete Node of",
    steps.JoinWorker: "join worker",
    steps.UnmarkMember: "take off the load balancer",
    steps.UnmarkSurge: "keep the surge server",
    steps.RetireMember: "remove living etcd member of",
    steps.CordonNode: "cordon",
    steps.DrainNode: "drain",
    steps.UncordonNode: "uncordon",
    steps.StageK3s: "fetch the new k3s on",
    steps.ResizeMaster: "give another server type to master",
    steps.ResizeWorker: "give another server type to worker",
    steps.ReconfigureMaster: "restart k3s with the file's configuration on master",
    steps.ReconfigureWorker: "restart k3s with the file's configuration on worker",
    steps.LabelNode: "set labels and taints of",
    steps.ForgetBirth: "forget the birth of",
    steps.KeepSnapshot: "keep a copy of the snapshot as",
    steps.UploadSnapshot: "copy the snapshot file to",
    steps.RestoreSnapshot: "restore the snapshot on",
    steps.StartRestored: "start the restored cluster on",
    steps.ReconnectWorker: "reconnect worker",
    steps.PointWorker: "name a living master to worker",
    steps.ApplyAddons: "apply",
    steps.RemoveAddon: "uninstall",
    steps.TakeOverAddon: "replace what 2.x applied by the chart",
    steps.WriteKubeconfig: "write kubeconfig",
    steps.KeepTokens: "keep on this machine the tokens of",
    steps.MarkDeleting: "record the deletion of",
    steps.MarkForDeletion: "mark for deletion",
    steps.DeleteServer: "delete server",
    steps.CloseBirth: "close the record of",
}


def verb(step: steps.Step) -> str:
    """Return what a step does to its target."""
    if isinstance(step, steps.DeleteResource):
        return f"delete {step.kind.replace('_', ' ')}"
    if isinstance(step, steps.EnsureFirewall) and step.existing is not None:
        return "set the rules of firewall"
    if isinstance(step, steps.EnsureLoadBalancer) and step.existing is not None:
        return "correct load balancer"
    return VERBS[type(step)]


_BY_NAME: Final = {kind.__name__: words for kind, words in VERBS.items()}


def verb_of(name: str) -> str:
    """Return what a step does to its target by the step's name, as the journal and transcripts hold it."""
    kind, _, resource = name.partition(" ")
    return f"delete {resource.replace('_', ' ')}" if kind == "DeleteResource" else _BY_NAME.get(kind, name)
