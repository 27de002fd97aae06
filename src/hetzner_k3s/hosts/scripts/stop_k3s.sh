# stop_k3s UNIT: stops and disables k3s; a server whose etcd follows a leader is left alone.
# The etcd of a removed member answers for about ten of its ticks (5 s) before it ends.
unit=$1
ends=$(($(date +%s) + 15))
while [ "$unit" = k3s ] && gateway maintenance/status '{}' && [ "$status" = 200 ]; do
    leader=$(printf %s "$answer" | sed -n 's/.*"leader": *"\([0-9]*\)".*/\1/p')
    [ "${leader:-0}" != 0 ] || break
    [ "$(date +%s)" -lt "$ends" ] || precondition_changed "its etcd follows the leader $leader, so it is a member"
    sleep 0.5
done
said=$(timeout 100 systemctl disable --now "$unit" 2>&1) || fail "systemd: $said"
done_with '{}'
