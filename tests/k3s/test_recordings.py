"""Which test drives which recording anew; no recording is left out without a reason."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

_HERE = Path(__file__).parent

# Pattern of files -> the test that compares them.
DRIVEN = {
    "http/*_bootstrap_keys.txt": "test_healthy_cluster.py::test_bootstrap_bundle",
    "http/local_node_v1-k3s_config.txt": "test_healthy_cluster.py::test_configuration_answer",
    "http/*": "test_healthy_cluster.py::test_every_recorded_http_answer",
    "etcd/2379_gateway.txt": "test_healthy_cluster.py::test_gateway_needs_a_certificate_and_lives_on_2382_only",
    "etcd/2381_metrics_selected.txt": "test_healthy_cluster.py::test_etcd_metrics_tell_the_leader",
    "etcd/2381_remote_private.txt": "test_healthy_cluster.py::test_etcd_metrics_from_outside",
    "etcd/2381_[hrlv]*": "test_healthy_cluster.py::test_etcd_metrics_port",
    "etcd/2382_status_*": "test_healthy_cluster.py::test_identity_of_the_recorded_cluster",
    "etcd/2382_member_list_*": "test_healthy_cluster.py::test_gateway",
    "etcd/2382_range_*": "test_healthy_cluster.py::test_gateway",
    "etcd/2382_noclientcert.txt": "test_healthy_cluster.py::test_gateway_needs_a_certificate_and_lives_on_2382_only",
    "etcd/2382_allkeys.txt": "test_tokens.py::test_bootstrap_key_names_the_password",
    "kube/nodes.json": "test_healthy_cluster.py::test_nodes",
    "kube/nodes_wide.txt": "test_healthy_cluster.py::test_node_table",
    "kube/node_password_secrets.json": "test_healthy_cluster.py::test_node_password_secrets",
    "kube/ns_kube_system.json": "test_healthy_cluster.py::test_namespace_leases_and_endpoints",
    "kube/leases.json": "test_healthy_cluster.py::test_namespace_leases_and_endpoints",
    "kube/endpoints_kubernetes.json": "test_healthy_cluster.py::test_namespace_leases_and_endpoints",
    "kube/api_resources.txt": "test_healthy_cluster.py::test_resources",
    "kube/*_verbose.txt": "test_healthy_cluster.py::test_readiness_checks",
    "kube/etcdsnapshotfiles.json": "test_healthy_cluster.py::test_snapshot",
    "host/etc_files_agent.txt": "test_healthy_cluster.py::test_files_of_a_worker",
    "host/etc_files_server*.txt": "test_healthy_cluster.py::test_kubeconfig_and_node_password",
    "host/etcd_config_m1.txt": "test_healthy_cluster.py::test_etcd_is_configured_as_recorded",
    "host/etcd_snapshot_*": "test_healthy_cluster.py::test_snapshot",
    "host/journal_first_server_start.txt": "test_joining.py::test_birth_is_announced_as_recorded",
    "host/journal_join_m2.txt": "test_joining.py::test_bare_password_is_warned_about_and_joins",
    "host/k3s_version.txt": "test_healthy_cluster.py::test_version",
    "host/server_help.txt": "test_decisions.py::test_every_recorded_flag_of_the_server_is_known",
    "host/sha256_server_ca.txt": "test_tokens.py::test_full_token_is_the_hash_of_the_ca_file",
    "host/tree_var_lib_rancher_server.txt": "test_healthy_cluster.py::test_files_and_modes_of_a_server",
    "host/tree_var_lib_rancher_agent.txt": "test_healthy_cluster.py::test_files_of_a_worker",
    "runs/02*": "test_losing_masters.py::test_deleted_master1_is_replaced_under_its_name",
    "runs/03*": "test_losing_masters.py::test_deleted_master1_is_replaced_under_its_name",
    "runs/05*": "test_losing_masters.py::test_member_removed_by_gateway_and_rejoined_with_another_address",
    "runs/06*": "test_typical_latency.py::test_joining_second_server_left_to_k3s",
    "runs/08*": "test_joining.py::test_learners_queue",
    "runs/09-10.log": "test_losing_masters.py::test_db_wiped_tls_kept",
    "runs/11.log": "test_joining.py::test_critical_mismatch",
    "runs/12*": "test_losing_masters.py::test_quorum_lost_and_reset",
    "runs/13.log": "test_losing_masters.py::test_restore_on_a_fresh_host",
    "runs/17_timeline_m1.txt": "test_typical_latency.py::test_first_server",
    "runs/22*": "test_losing_masters.py::test_old_members_return_after_a_reset",
    "runs/24*": "test_losing_masters.py::test_frozen_leader_exits_when_thawed",
    "second/01-*": "test_restoring.py::test_k3s_ends_after_ready_beside_a_node_with_another_address",
    "second/02-*": "test_restoring.py::test_a_server_without_an_agent_outlives_the_old_nodes",
    "second/03-*": "test_restoring.py::test_a_server_without_an_agent_outlives_the_old_nodes",
    "second/04-*": "test_restoring.py::test_without_network_policies_the_old_node_stays",
    "second/06-*": "test_restoring.py::test_on_the_old_address_the_old_node_goes_on",
    "second/07-*": "test_restoring.py::test_on_the_old_address_the_old_node_goes_on",
    "second/08-*": "test_losing_masters.py::test_member_removed_by_gateway_and_rejoined_with_another_address",
    "second/09-*": "test_balancer.py::test_an_agent_that_is_pointed_elsewhere_forgets_the_masters_that_it_knew",
    "second/20-f5-rotate.txt": "test_token_rotation.py::test_only_where_it_was_rotated_k3s_takes_no_command",
    "second/21-f5-after.txt": "test_joining.py::test_token_rotation",
    "second/1[0-4]-f2-*": "test_ca_rotation.py::test_nothing_changes_before_each_master_is_restarted",
    "second/15-f3-agent.txt": "test_initialization.py::test_agent_is_active_only_when_its_node_is_initialized",
    "second/17-f4-crash.txt": "test_cut_off_birth.py::test_killed_right_after_its_log_it_never_starts_again",
    "second/18-f4-heal.txt": "test_cut_off_birth.py::test_killed_right_after_its_log_it_never_starts_again",
    "second/19-f4-later.txt": "test_cut_off_birth.py::test_killed_before_its_bootstrap_data_it_never_starts_again",
    "second/16-f3-15min.txt": "test_initialization.py::test_k3s_ends_when_nobody_initializes_its_node",
    "second/32-*": "test_agent_token.py::test_each_token_may_read_what_was_recorded",
    "second/33-*": "test_agent_token.py::test_workers_join_with_the_agent_token_alone",
    "second/35-*": "test_agent_token.py::test_a_restore_needs_the_agent_token_from_the_start",
    "second/36-*": "test_agent_token.py::test_workers_join_with_the_agent_token_alone",
}

# Pattern of files -> why nothing drives them.
NOT_DRIVEN = {
    "INDEX.tsv": "the list of the recordings",
    "healthy-3-servers-1-agent/*": "the same cluster, recorded once more in another form",
    "etcd/2381_listen.txt": "the ports are those of one process there, of two here",
    "etcd/2381_remote_public.txt": "an empty recording: nothing answered on the public address",
    "etcd/2382_count_registry.txt": "the number of objects of a whole Kubernetes",
    "etcd/2382_hashkv.txt": "hashes of data",
    "host/certificate_check.txt": "the lab's k3s has `certificate rotate-ca` alone",
    "host/secrets_encrypt_status.txt": "the lab's k3s encrypts no Secrets",
    "host/server_lb_json_m2.txt": "says that servers keep no load-balancer file",
    "host/systemctl_show_*": "systemd's own; the rig has none, tests/realhosts has",
    "host/token_help.txt": "help texts",
    "kube/addons_helmcharts.txt": "the packaged add-ons are not deployed",
    "kube/cm_snapshots.json": "an error text: there is no such ConfigMap",
    "kube/configmaps.txt": "names of ConfigMaps that the packaged add-ons bring",
    "kube/events.txt": "events of a kubelet and a scheduler",
    "kube/pods_all.txt": "no pods run in the lab",
    "runs/install_*": "the installer's output",
    "second/05-*": "a way that the product does not take: deleting the Node under a kubelet that runs",
    "second/2[2-9]*": "recorded after the model was written; what it learns from them moves to DRIVEN",
    "second/3*": "recorded after the model was written; what it learns from them moves to DRIVEN",
}


def test_every_recording_is_driven_or_excused(recordings: Path) -> None:
    patterns = (*DRIVEN, *NOT_DRIVEN)
    names = [str(path.relative_to(recordings)) for path in recordings.rglob("*") if path.is_file()]
    assert len(names) > 150
    assert [name for name in names if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in names)] == []


def test_every_named_test_exists() -> None:
    for test in set(DRIVEN.values()):
        file, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (_HERE / file).read_text(), re.MULTILINE), test
