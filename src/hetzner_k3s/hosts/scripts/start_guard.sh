#!/bin/sh
# Refuses to start k3s as a server where that start would make a new cluster (docs/architecture.md#bootstrap): no etcd
# data and no `server:` to join, unless the one-time permit of a birth is there. A removed member (tombstone) needs
# `server:` too. With an external datastore it starts with the permit, with a token that pins the cluster's CA, or with
# its own files.
etcd=/var/lib/rancher/k3s/server/db/etcd
if [ -e /var/lib/hetzner-k3s/held ]; then
    echo 'hetzner-k3s start guard: k3s is stopped and masked here by a quorum reset that has not ended.' >&2
    exit 1
fi
if [ -e /var/lib/hetzner-k3s/restoring ]; then
    echo 'hetzner-k3s start guard: half a restore lies here; run "hetzner-k3s create --restore ..." again.' >&2
    exit 1
fi
has_data() {
    [ -e "$etcd/tombstone" ] && return 1
    for wal in "$etcd"/member/wal/*.wal; do
        [ -e "$wal" ] && return 0
    done
    return 1
}
# The lineage that a reset or a restore noted here is that of the data which it left; without that data k3s joins others'.
has_data || rm -f /var/lib/hetzner-k3s/lineage /var/lib/hetzner-k3s/reset-done
for config in /etc/rancher/k3s/config.yaml /etc/rancher/k3s/config.yaml.d/*.yaml; do
    grep -qsE "^server: *[\"']?https://" "$config" && exit 0
done
if grep -qs '^datastore-endpoint:' /etc/rancher/k3s/config.yaml; then
    [ -e /run/hetzner-k3s/birth ] || [ -e /var/lib/rancher/k3s/server/tls/server-ca.crt ] ||
        grep -qsE "^token: *[\"']?K10" /etc/rancher/k3s/config.yaml && exit 0
    echo 'hetzner-k3s start guard: an external datastore and no token that pins its CA; that would make a new, empty cluster.' >&2
    exit 1
fi
has_data && exit 0
[ ! -e "$etcd/tombstone" ] && [ -e /run/hetzner-k3s/birth ] && exit 0
echo 'hetzner-k3s start guard: no etcd data and no server: in config.yaml; starting would make a new, empty cluster.' >&2
echo 'hetzner-k3s start guard: run "hetzner-k3s create" to have this master join its cluster again.' >&2
exit 1
