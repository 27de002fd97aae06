# receive_snapshot NAME SIZE SHA256 <the file: lays a snapshot beside this host's own, under its name when it is whole.
# It may be gigabytes, so it goes to the disk at once and not through the transient unit; it changes nothing else here.
name=$1 size=$2 sum=$3
directory=$k3s_data/server/db/snapshots
part=$k3s_data/server/db/.$name.part

case $name in '' | */* | .*) fail 'that is no name of a snapshot' ;; esac
[ ! -e "$our_state/restoring" ] && has_wal && precondition_changed 'this host holds etcd data'
mkdir -p "$directory" || fail "could not make $directory"
cat >"$part" || fail "could not write $part"
[ "$(stat -c %s "$part")" = "$size" ] || fail 'the connection was cut before all of the snapshot had arrived'
[ "$(file_hash "$part")" = "$sum" ] || fail 'the snapshot arrived damaged'
sync "$part" || fail "could not write $part"
if [ -e "$directory/$name" ]; then
    [ "$(file_hash "$directory/$name")" != "$sum" ] || { rm -f "$part" && done_with '{}'; }
    mv "$directory/$name" "$directory/$name.before-$(date +%s)" || fail "could not put $directory/$name aside"
fi
mv "$part" "$directory/$name" || fail "could not write $directory/$name"
done_with '{}'
