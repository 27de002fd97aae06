# fetch_database: a compressed tar of etcd's data, keys, passwords and token of a held host; SHA256SUMS comes first.
# Nothing but the archive goes to stdout, so what is wrong goes to stderr.
(is_held || precondition_changed 'k3s is not stopped and masked on this host, so its data may still change') >&2 || exit $?
(k3s_is_down || precondition_changed 'k3s runs on this host') >&2 || exit $?
cd "$k3s_data/server" || exit 1
set --
for part in db/etcd tls cred token; do
    [ -e "$part" ] && set -- "$@" "$part"
done
[ $# -gt 0 ] || (fail 'this host holds no data') >&2 || exit $?
mkdir -p "$our_run/rescue"
find -L "$@" -type f -exec sha256sum {} + >"$our_run/rescue/SHA256SUMS" || exit 1
tar --format=ustar --owner=0 --group=0 --dereference --hard-dereference -czf - -C "$our_run/rescue" SHA256SUMS -C "$k3s_data/server" "$@"
