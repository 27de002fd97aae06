# restore_snapshot NAME LINEAGE PARENT(- for none) SHA256(- for a name in S3): makes this host, which holds no data, the only member of the snapshot's cluster.
# With a checksum NAME is a file among this host's snapshots; it is held against it before anything is touched.
# Nothing is started. k3s exits 0 on failure too, so the success line and the write-ahead log are asked for; whose data
# it is, the caller reads when it runs. The mark says that what lies here is half a restore of ours, and may go.
name=$1 lineage=$2 parent=$3 sum=$4
mark=$our_state/restoring noted=$our_state/lineage log=$our_run/restore.log
snapshots=$k3s_data/server/db/snapshots fresh=$k3s_data/server-fresh

# Sets `file`; where an earlier try was cut off, the snapshots are on their way to the fresh directory.
find_file() {
    for file in "$snapshots/$name" "$fresh/db/snapshots/$name"; do
        [ ! -f "$file" ] || return 0
    done
    return 1
}

# A snapshot is never removed, and nothing that was here before us: only what a restore of ours left half-made.
clear_the_way() {
    mkdir -p "$fresh/db/snapshots" || fail "could not make $fresh"
    for file in "$snapshots"/*; do
        [ ! -e "$file" ] || mv "$file" "$fresh/db/snapshots/" || fail 'could not keep the snapshots'
    done
    rmdir "$snapshots" "$k3s_data/server/db" "$k3s_data/server" 2>/dev/null
    if has_wal; then
        rm -rf "$k3s_data/server" || fail "could not remove the half-made $k3s_data/server"
    elif [ -e "$k3s_data/server" ]; then
        mv "$k3s_data/server" "$k3s_data/server-replaced-$(date +%s)" || fail "could not put $k3s_data/server aside"
    fi
    mv "$fresh" "$k3s_data/server" || fail "could not make $k3s_data/server anew"
}

first_line "$noted" before
if [ ! -e "$mark" ] && has_wal; then
    [ -n "$before" ] && [ "${before#* }" = "$parent" ] && done_with '{}'
    precondition_changed 'this host holds etcd data'
fi
if [ "$sum" != - ]; then
    find_file || precondition_changed "this host has no snapshot $name"
    [ "$(file_hash "$file")" = "$sum" ] || precondition_changed "the snapshot $name is not the file that was looked at"
fi
printf '%s\n' "$name" | write_atomically 0600 "$mark" || fail "could not write $mark"
[ -s "$k3s_config" ] || fail "there is no $k3s_config"
grep -qE '^(server|cluster-init):' "$k3s_config" && precondition_changed "$k3s_config names a server to join"

systemctl -q disable --now k3s.service 2>/dev/null
k3s_is_down || fail 'k3s could not be stopped'
clear_the_way
rm -f "$noted" || fail "could not remove $noted"
path=$name from_s3=
if [ "$sum" != - ]; then
    # k3s prunes by the beginning of the name: under this one the snapshot outlives what follows.
    path=$snapshots/kept-${name#kept-} from_s3=--etcd-s3=false
    [ -e "$path" ] || ln "$snapshots/$name" "$path" || fail "could not keep $name"
fi
timeout 570 /usr/local/bin/k3s server --cluster-reset --cluster-reset-restore-path="$path" $from_s3 >"$log" 2>&1 </dev/null
grep -q 'Managed etcd cluster membership has been reset' "$log" ||
    fail "k3s did not restore the snapshot: $(grep -E 'level=(error|fatal)' "$log" | tail -n 1)"
has_wal || fail 'k3s reported success, but there is no etcd data'
printf '%s %s\n' "$lineage" "$parent" | write_atomically 0600 "$noted" || fail "could not write $noted"
rm -f "$mark" || fail "could not remove $mark"
done_with '{}'
