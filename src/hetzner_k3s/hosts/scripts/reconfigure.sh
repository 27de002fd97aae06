# reconfigure UNIT VERSION|- [MEMBER_ID...] <files, lines "MODE PATH BASE64": stops k3s, writes its configuration, puts the
# release in place that lies ready, and starts it anew. All of that comes between stop and start: what lies here is what
# runs, also where this ends halfway or the host does.
unit=$1 version=$2
shift 2
decided=$(printf '%s\n' "$@" | sort)

# A server whose etcd is well takes a vote away with it: the others must all be there, and nobody half joined. One that
# ends at each start has just begun to connect to them.
may_go() {
    others=$(($(printf '%s\n' "$decided" | grep -c .) - 1))
    ends=$(($(date +%s) + 10))
    while etcd_is_healthy; do
        read_members
        demand_members "$answer" "$decided"
        demand_no_learner "$answer"
        connected=$(active_peers | sort -u | wc -l)
        [ "$connected" -lt "$others" ] || return 0
        [ "$(date +%s)" -lt "$ends" ] ||
            precondition_changed "only $connected of the $others other voters are connected"
        sleep 0.5
    done
}

is_held && precondition_changed 'k3s is stopped and masked on this host by a quorum reset that has not ended'
if [ "$version" != - ]; then
    first_line "$staged/k3s-version" ready
    [ "$ready" = "$version $(stat -c %s:%Y "$staged/k3s" 2>/dev/null)" ] ||
        precondition_changed "k3s $version does not lie ready on this host"
fi
[ "$unit" != k3s ] || may_go
files=$(cat)
units_before=$(units_digest)
said=$(timeout 100 systemctl stop "$unit.service" 2>&1) || fail "systemd: $said"
printf '%s\n' "$files" | put_files || fail "could not write the new configuration; k3s is stopped, and its files are those of before or after"
forget_environment || fail "could not take the token out of the units' environment; k3s is stopped"
# Only on a host that 2.x had set up is the unit another one.
reload_units "$units_before" || fail 'systemd did not take the new unit; k3s is stopped'
if [ "$version" != - ]; then
    mv -f "$staged/k3s" /usr/local/bin/k3s && mv -f "$staged/k3s-version" "$our_state/k3s-version" ||
        fail "could not put k3s $version in place; k3s is stopped"
fi
said=$(systemctl -q enable "$unit.service" 2>&1 && systemctl start --no-block "$unit.service" 2>&1) || fail "systemd: $said"
done_with '{}'
