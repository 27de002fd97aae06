# stop_k3s: stops and disables k3s as a server whose etcd was removed from its cluster; one that follows a leader is left alone.
# A removed member's etcd answers for about ten of its ticks (5 s) before it ends.
ends=$(($(date +%s) + 15))
while gateway maintenance/status '{}' && [ "$status" = 200 ]; do
    leader=$(printf %s "$answer" | sed -n 's/.*"leader": *"\([0-9]*\)".*/\1/p')
    [ "${leader:-0}" != 0 ] || break
    [ "$(date +%s)" -lt "$ends" ] || precondition_changed "its etcd follows the leader $leader, so it is a member"
    sleep 0.5
done
said=$(timeout 100 systemctl disable --now k3s.service 2>&1) || fail "systemd: $said"
done_with '{}'
