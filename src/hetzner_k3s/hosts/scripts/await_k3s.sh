# await_k3s UNIT MILESTONE SECONDS: waits on the host, looks, and ends early at a line after which k3s cannot start.
unit=$1 milestone=$2 seconds=$3
began=$(date +%s)
end_with_session

# The exits that waiting does not heal (docs/facts/k3s.md#exits-that-repeat); a server that is not there yet is none.
fatal='duplicate node name found|: not authorized|token CA hash does not match|critical configuration value mismatch'
fatal="$fatal|encrypted with different token|newer than datastore|hetzner-k3s start guard"
fatal="$fatal|failed to read consistent index|no bootstrap data found in datastore"

# With an external datastore there is no etcd here; the API tells whose data it reads.
answers_by_database() {
    read_config
    [ -n "$(uid_by_api)" ]
}

# K3s tells READY and answers /readyz before a bad argument ends it (docs/facts/k3s.md#restart-for-a-change).
steady_after=15 steady_since='' steady_as=''
is_steady() {
    state=$(systemctl show -p ActiveState -p NRestarts -p MainPID "$unit")
    case $state in
        *MainPID=0*) steady_since='' && return 1 ;;
        *ActiveState=active*) ;;
        # An agent stays `activating` for as long as no cloud controller has seen its Node (docs/facts/k3s.md#joined).
        *ActiveState=activating*) [ "$unit" = k3s-agent ] || { steady_since='' && return 1; } ;;
        *) steady_since='' && return 1 ;;
    esac
    [ "$unit" != k3s ] || is_well || { steady_since='' && return 1; }
    [ -n "$steady_since" ] && [ "$state" = "$steady_as" ] || { steady_since=$(date +%s) steady_as=$state; }
    [ $(($(date +%s) - steady_since)) -ge "$steady_after" ]
}

is_well() {
    case $(curl -s -k -m 2 -o /dev/null -w '%{http_code}' https://127.0.0.1:6443/readyz) in 200 | 401) ;; *) return 1 ;; esac
    grep -qs '^datastore-endpoint:' "$k3s_config" || etcd_is_healthy
}

reached() {
    case $milestone in
        steady) is_steady ;;
        active) systemctl -q is-active "$unit" ;;
        datastore) [ -s "$k3s_data/server/token" ] && etcd_is_healthy ;;
        identity) answers_by_database || { etcd_is_healthy && gateway kv/range "{\"key\":\"$kube_system_key\",\"count_only\":true}" &&
            [ "$status" = 200 ] && [ "${answer#*\"count\"}" != "$answer" ]; } ;;
    esac
}

# The password of a database's URL ends at its last @; it may hold others.
without_passwords() {
    sed 's#://[^ ]*@#://#g'
}

last_lines() {
    journalctl -q -u "$unit" --since "@$began" -n 60 -o cat --no-pager 2>/dev/null | grep -E "$1" | tail -n 1 |
        without_passwords
}

# How often systemd has started it anew; one that ends again and again for a reason we do not know has no way on.
restarts() {
    systemctl show -p NRestarts --value "$unit"
}

last_words() {
    last=$(last_lines 'level=(warning|error|fatal)|rejected')
    [ -n "$last" ] || last=$(journalctl -q "_SYSTEMD_UNIT=$unit.service" --since "@$began" -n 1 -o cat --no-pager 2>/dev/null)
    [ -n "$last" ] || last=$(last_lines 'Failed at step|code=exited|code=killed|Failed with result')
    printf %s "$last" | without_passwords
}

is_between_two_starts() {
    case $(systemctl show -p SubState --value "$unit") in auto-restart* | failed | dead) return 0 ;; esac
    return 1
}

restarts_before=$(restarts)
while ! reached; do
    if is_between_two_starts; then
        why=$(last_lines "$fatal")
        [ -z "$why" ] || fail "$unit cannot start: $why"
        if [ $(($(restarts) - ${restarts_before:-0})) -ge 6 ]; then
            fail "$unit ends at each start: $(last_words)"
        fi
    fi
    if [ $(($(date +%s) - began)) -gt "$seconds" ]; then
        fail "$unit is not $milestone after $seconds s; its last complaint: $(last_words)"
    fi
    sleep 0.2
done
done_with "$(print_facts)"
