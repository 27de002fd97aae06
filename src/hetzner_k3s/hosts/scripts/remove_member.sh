# remove_member MEMBER_ID MEMBER_ID_HEX UID ID...: removes a dead member if the world is as the decision saw it (ids of all members).
victim=$1 victim_hex=$2 decided_uid=$3
shift 3
decided=$(printf '%s\n' "$@" | sort)

# The ids in etcd's metrics are hexadecimal.
is_connected() {
    active_peers | grep -qx "$victim_hex"
}

read_uid
[ "$uid" = "$decided_uid" ] || precondition_changed "kube-system has UID ${uid:-none}, not $decided_uid"

read_members
members=$answer
member_ids "$members" | grep -qx "$victim" || done_with '{}'
demand_members "$members" "$decided"
others=$(printf %s "$members" | tr -d '\n' | sed 's/{ *"ID"/\n&/g' | grep -vF "\"$victim\"")
demand_no_learner "$others"

gateway maintenance/status '{}'
[ "$status" = 200 ] || fail "etcd did not give its status (HTTP $status): $answer"
leader=$(printf %s "$answer" | sed -n 's/.*"leader": *"\([0-9]*\)".*/\1/p')
case ${leader:-0} in
    0) precondition_changed 'etcd has no leader' ;;
    "$victim") precondition_changed "member $victim leads the cluster, so it is not dead" ;;
esac
is_connected && precondition_changed "etcd is connected to member $victim, so it is not dead"

gateway cluster/member/remove "{\"ID\":\"$victim\"}"
case $status in 200 | 404) ;; *) fail "etcd did not remove member $victim (HTTP $status): $answer" ;; esac
read_members
member_ids "$answer" | grep -qx "$victim" && fail "member $victim is still in the list after its removal"
done_with '{}'
