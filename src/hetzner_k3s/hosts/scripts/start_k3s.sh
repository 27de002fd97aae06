# start_k3s UNIT BIRTH(yes|no): enables and starts the unit without waiting; one that runs is left alone. One that the
# guard keeps from starting again and again does not run: it takes the permit at its next turn.
unit=$1 birth=$2

running() {
    case $(systemctl show -p ActiveState -p SubState "$unit") in
        *SubState=auto-restart* | *SubState=start-pre*) return 1 ;;
        *ActiveState=active* | *ActiveState=activating* | *ActiveState=reloading*) return 0 ;;
    esac
    return 1
}

holds_data() {
    has_wal && return 0
    for left in server/db/etcd/tombstone server/token server/tls/server-ca.crt agent/server-ca.crt; do
        [ -e "$k3s_data/$left" ] && return 0
    done
    return 1
}

is_held && precondition_changed 'k3s is stopped and masked on this host by a quorum reset that has not ended'
if running; then
    systemctl -q enable "$unit" 2>/dev/null
    done_with '{}'
fi
if [ "$birth" = yes ]; then
    holds_data && precondition_changed 'this host holds data of a cluster, so none is initialized here'
    permit='K3S_CLUSTER_INIT=true'
    grep -qs '^datastore-endpoint:' "$k3s_config" && permit='# in an external datastore, where there is no etcd to begin'
    mkdir -p "$our_run" && printf '%s\n' "$permit" >"$our_run/birth" || fail 'could not lay the permit'
fi
said=$(systemctl -q enable "$unit" 2>&1 && systemctl start --no-block "$unit" 2>&1) || fail "systemd: $said"
done_with '{}'
