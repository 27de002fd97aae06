# hold_k3s CA LEADER SECONDS: stops k3s and keeps it down; LEADER is the etcd leader that it follows, - where it may see
# none, and SECONDS for how long it must be seen to stay so: etcd tells of no leader during each election too.
expected_ca=$1 expected_leader=$2 watched=$3

# Reads the leader that etcd follows into `leader`; only an etcd that says it is unhealthy, or none, follows nobody.
read_leader() {
    leader=-
    etcd_is_healthy || return 0
    gateway maintenance/status '{}'
    [ "$status" = 200 ] || fail "etcd did not give its status (HTTP $status): $answer"
    leader=$(printf %s "$answer" | sed -n 's/.*"leader": *"\([0-9]*\)".*/\1/p')
}

# The clock is read before each look, so the last one begins when the time is over; it has whole seconds, so one more.
demand_leader() {
    watched_until=$(($(date +%s) + watched + (watched > 0)))
    while :; do
        began=$(date +%s)
        read_leader
        [ "${leader:=-}" = "$expected_leader" ] ||
            precondition_changed "the leader that its etcd follows is $leader, not $expected_leader"
        [ "$began" -lt "$watched_until" ] || return 0
        sleep 0.5
    done
}

read_server_ca
[ "$server_ca" = "$expected_ca" ] || precondition_changed "its disk holds CA ${server_ca:-none}, not $expected_ca"
is_held || demand_leader
printf 'by hetzner-k3s\n' | write_atomically 0600 "$held_mark" || fail "could not write $held_mark"
said=$(systemctl -q disable --now k3s.service 2>&1) || fail "systemd did not stop k3s: $said"
k3s_is_down || fail "k3s is still $(systemctl show -p ActiveState --value k3s.service)"
done_with '{}'
