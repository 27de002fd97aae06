# restore_snapshot NAME LINEAGE PARENT(- for none): makes this host, which holds no data, the only member of the snapshot's cluster.
# Nothing is started. k3s exits 0 on failure too, so the success line and the write-ahead log are asked for; whose data
# it is, the caller reads when it runs. The mark says that what lies here is half a restore of ours, and may go.
name=$1 lineage=$2 parent=$3
mark=$our_state/restoring noted=$our_state/lineage log=$our_run/restore.log

first_line "$noted" before
if [ ! -e "$mark" ]; then
    if has_wal; then
        [ -n "$before" ] && [ "${before#* }" = "$parent" ] && done_with '{}'
        precondition_changed 'this host holds etcd data'
    fi
    printf '%s\n' "$name" | write_atomically 0600 "$mark" || fail "could not write $mark"
fi
[ -s "$k3s_config" ] || fail "there is no $k3s_config"
grep -qE '^(server|cluster-init):' "$k3s_config" && precondition_changed "$k3s_config names a server to join"

systemctl -q disable --now k3s.service 2>/dev/null
k3s_is_down || fail 'k3s could not be stopped'
rm -rf "$k3s_data/server" "$noted" || fail "could not remove $k3s_data/server"
timeout 570 /usr/local/bin/k3s server --cluster-reset --cluster-reset-restore-path="$name" >"$log" 2>&1 </dev/null
grep -q 'Managed etcd cluster membership has been reset' "$log" ||
    fail "k3s did not restore the snapshot: $(grep -E 'level=(error|fatal)' "$log" | tail -n 1)"
has_wal || fail 'k3s reported success, but there is no etcd data'
printf '%s %s\n' "$lineage" "$parent" | write_atomically 0600 "$noted" || fail "could not write $noted"
rm -f "$mark" || fail "could not remove $mark"
done_with '{}'
