"""Which handler executes which step: the seam at which `reconcile` turns a plan into deeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hetzner_k3s.act.context import Context, Handler, Outcome
from hetzner_k3s.act.handlers import (
    addons,
    adoption,
    control_plane,
    disaster,
    external_database,
    host_keys,
    infra,
    kubeconfig,
    node_labels,
    nodes,
    power,
    prune,
    resize,
    restore,
    rollout,
    servers,
    teardown,
    tokens,
)
from hetzner_k3s.model import steps

HANDLERS: Final[Mapping[type, Handler]] = {
    steps.EnsureSshKey: infra.ensure_ssh_key,
    steps.EnsureNetwork: infra.ensure_network,
    steps.EnsureFirewall: infra.ensure_firewall,
    steps.EnsurePlacementGroup: infra.ensure_placement_group,
    steps.EnsureLoadBalancer: infra.ensure_load_balancer,
    steps.CreateServer: servers.create_server,
    steps.PowerOn: power.power_on,
    steps.StartMaster: power.start_master,
    steps.StartWorker: nodes.start_worker,
    steps.SecureHost: host_keys.secure_host,
    steps.InstallK3s: servers.install_k3s,
    steps.RecordBirth: control_plane.record_birth,
    steps.InitControlPlane: control_plane.init_control_plane,
    steps.JoinControlPlane: control_plane.join_control_plane,
    steps.StartOnDatabase: external_database.start_on_database,
    steps.MarkMember: control_plane.mark_member,
    steps.RenewToken: tokens.renew_token,
    steps.PinCa: tokens.pin_ca,
    steps.SaveSnapshot: control_plane.save_snapshot,
    steps.WipeJoiner: control_plane.wipe_joiner,
    steps.RemoveMember: control_plane.remove_member,
    steps.HoldMaster: disaster.hold_master,
    steps.FetchDatabase: disaster.fetch_database,
    steps.FenceMember: disaster.fence_member,
    steps.ResetQuorum: disaster.reset_quorum,
    steps.AdoptCluster: adoption.adopt_cluster,
    steps.AdoptLineage: disaster.adopt_lineage,
    steps.DeleteNode: nodes.delete_node,
    steps.JoinWorker: nodes.join_worker,
    steps.LabelNode: node_labels.label_node,
    steps.UnmarkMember: prune.unmark_member,
    steps.UnmarkSurge: prune.unmark_surge,
    steps.RetireMember: prune.retire_member,
    steps.CordonNode: prune.cordon_node,
    steps.DrainNode: prune.drain_node,
    steps.UncordonNode: prune.uncordon_node,
    steps.StageK3s: rollout.stage_k3s,
    steps.ResizeMaster: resize.resize_master,
    steps.ResizeWorker: resize.resize_worker,
    steps.ReconfigureMaster: rollout.reconfigure_master,
    steps.ReconfigureWorker: rollout.reconfigure_worker,
    steps.ForgetBirth: restore.forget_birth,
    steps.KeepSnapshot: restore.keep_snapshot,
    steps.UploadSnapshot: restore.upload_snapshot,
    steps.RestoreSnapshot: restore.restore_snapshot,
    steps.StartRestored: restore.start_restored,
    steps.ReconnectWorker: nodes.reconnect_worker,
    steps.PointWorker: nodes.point_worker,
    steps.ApplyAddons: addons.apply_addons,
    steps.RemoveAddon: addons.remove_addon,
    steps.TakeOverAddon: addons.take_over_addon,
    steps.WriteKubeconfig: kubeconfig.write_kubeconfig,
    steps.KeepTokens: kubeconfig.keep_tokens,
    steps.MarkDeleting: teardown.mark_deleting,
    steps.MarkForDeletion: teardown.mark_for_deletion,
    steps.DeleteServer: teardown.delete_server,
    steps.DeleteResource: teardown.delete_resource,
    steps.CloseBirth: teardown.close_birth,
}


async def execute(step: steps.Step, context: Context) -> Outcome:
    """Execute a step; raises what its effects raise."""
    return await HANDLERS[type(step)](step, context)
