# reset_cluster CA LINEAGE PARENT(- for none): makes this held host its cluster's only member, and starts it.
# k3s exits 0 on failure too; its log also says "new cluster" when all is well (runs/12.log), so neither is asked.
expected_ca=$1 lineage=$2 parent=$3
noted=$our_state/lineage done_note=$our_state/reset-done log=$our_run/cluster-reset.log

reset_was_done() {
    first_line "$noted" before
    first_line "$done_note" after
    [ -n "$before" ] && [ "$before" = "$after" ] && [ "${before#* }" = "$parent" ]
}

# A run that was killed may have come to the end of this.
! is_held && reset_was_done && done_with '{}'
is_held || precondition_changed 'k3s is not stopped and masked on this host'
k3s_is_down || precondition_changed 'k3s runs on this host'
has_wal || precondition_changed 'this host holds no etcd data; a reset would make an empty cluster'
[ ! -e "$k3s_data/server/db/etcd/tombstone" ] || precondition_changed 'etcd on this host was removed from its cluster'
read_server_ca
[ "$server_ca" = "$expected_ca" ] || precondition_changed "its disk holds CA ${server_ca:-none}, not $expected_ca"

without_join() {
    grep -vE '^(server|cluster-init):' "$k3s_config" | write_atomically 0600 "$k3s_config"
}

if ! reset_was_done; then
    [ -s "$k3s_config" ] || fail "there is no $k3s_config"
    printf '%s %s\n' "$lineage" "$parent" | write_atomically 0600 "$noted" || fail "could not write $noted"
    without_join || fail "could not write $k3s_config"
    rm -f "$k3s_data/server/db/reset-flag"
    timeout 600 /usr/local/bin/k3s server --cluster-reset >"$log" 2>&1 </dev/null
    grep -q 'Managed etcd cluster membership has been reset' "$log" ||
        fail "k3s did not reset the cluster: $(grep -E 'level=(error|fatal)' "$log" | tail -n 1)"
    write_atomically 0600 "$done_note" <"$noted"
fi
rm -f "$held_mark"
said=$(systemctl -q enable k3s.service 2>&1 && systemctl start --no-block k3s.service 2>&1) || fail "systemd: $said"
done_with '{}'
