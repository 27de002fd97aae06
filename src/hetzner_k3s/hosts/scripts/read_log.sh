# read_log SEGMENTS: the last files of etcd's write-ahead log, oldest first, each gzip and base64.
is_held || precondition_changed 'k3s is not stopped and masked on this host, so its log may still grow'
has_wal || done_with '{"segments":[]}'
separator=''
printf '{"result":{"segments":['
for log in $(find "$k3s_data/server/db/etcd/member/wal" -name '*.wal' | sort | tail -n "$1"); do
    printf '%s"' "$separator"
    gzip -1 -c "$log" | base64 -w 0
    printf '"'
    separator=,
done
printf ']}}\n'
