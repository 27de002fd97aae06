# retire_member MEMBER_ID MEMBER_ID_HEX UID ID...: removes a living member if the world is as the decision saw it (ids of all members)
# and every voter that would be left is connected: with this one gone they must do without any that fails.
victim=$1 victim_hex=$2 decided_uid=$3
shift 3
decided=$(printf '%s\n' "$@" | sort)

read_uid
[ "$uid" = "$decided_uid" ] || precondition_changed "kube-system has UID ${uid:-none}, not $decided_uid"

read_members
members=$answer
member_ids "$members" | grep -qx "$victim" || done_with '{}'
demand_members "$members" "$decided"
demand_no_learner "$members"

gateway maintenance/status '{}'
[ "$status" = 200 ] || fail "etcd did not give its status (HTTP $status): $answer"
own=$(printf %s "$answer" | sed -n 's/.*"member_id": *"\([0-9]*\)".*/\1/p')
leader=$(printf %s "$answer" | sed -n 's/.*"leader": *"\([0-9]*\)".*/\1/p')
case ${leader:-0} in
    0) precondition_changed 'etcd has no leader' ;;
    "$victim") precondition_changed "member $victim leads the cluster" ;;
esac
[ "$own" != "$victim" ] || precondition_changed 'a member does not remove itself'

connected=$(active_peers | grep -vx "$victim_hex" | sort -u | wc -l)
others=$(($# - 2))
[ "$connected" -ge "$others" ] || precondition_changed "only $connected of the $others other voters are connected"

# etcd lets a living one go only where all that stay have been connected for 5 s: one that joined just now soon has
# (docs/facts/etcd.md#removing-members). That it asks for this itself is what lets us wait.
ends=$(($(date +%s) + 15))
while gateway cluster/member/remove "{\"ID\":\"$victim\"}"; do
    case $status:$answer in
        200:* | 404:*) break ;;
        503:*'unhealthy cluster'*) [ "$(date +%s)" -ge "$ends" ] || { sleep 0.5 && continue; } ;;
    esac
    fail "etcd did not remove member $victim (HTTP $status): $answer"
done
read_members
member_ids "$answer" | grep -qx "$victim" && fail "member $victim is still in the list after its removal"
done_with '{}'
