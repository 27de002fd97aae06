# wipe_joiner SERVER_URL ADDRESS: puts the data of a former member aside, if the cluster that answers at SERVER_URL lists
# nobody of this host's member name or address. The answer must be that of a holder of this host's CA and token.
url=$1 address=$2

member_name() {
    IFS= read -r name <"$k3s_data/server/db/etcd/name" || [ -n "${name:-}" ]
}

# /db/info gives the members to whoever holds the server password (docs/facts/k3s.md#endpoints); it goes through stdin,
# not argv.
ask_cluster() {
    IFS= read -r token <"$k3s_data/server/token" || [ -n "${token:-}" ] || return 1
    password=$(printf %s "${token##*:}" | sed 's/[\\"]/\\&/g')
    listed=$(printf '%s\n' "url = \"$url/db/info\"" "user = \"server:$password\"" \
        "cacert = \"$k3s_data/server/tls/server-ca.crt\"" 'silent' 'max-time = 10' 'write-out = "\n%{http_code}"' |
        curl --config - 2>/dev/null)
    http=${listed##*
}
    listed=$(printf %s "$listed" | tr -d ' \n') # how it is spaced is nobody's promise
    [ "$http" = 200 ]
}

etcd_is_healthy && precondition_changed 'its etcd is healthy'
ask_cluster || fail "the cluster at $url did not give its members (HTTP ${http:-000})"
case $listed in
    *'"peerURLs":["https://'*) ;;
    *) fail "the cluster at $url gave no member list" ;;
esac
case $listed in *"\"https://$address:2380\""*) precondition_changed "the cluster lists a member at $address" ;; esac
if member_name 2>/dev/null; then
    case $listed in *"\"name\":\"$name\""*) precondition_changed "the cluster lists the member $name" ;; esac
fi

timeout 100 systemctl stop k3s.service || fail 'k3s did not stop'
aside=$k3s_data/server-former-$(date +%s)
mv "$k3s_data/server" "$aside" || fail "could not put $k3s_data/server aside"
if [ -d "$aside/db/snapshots" ]; then
    mkdir -p "$k3s_data/server/db" && mv "$aside/db/snapshots" "$k3s_data/server/db/snapshots" || fail 'could not keep its snapshots'
fi
sync
done_with '{}'
