# move_leader HEIR HEIR_HEX: hands leadership over to the voter HEIR, if this host's member leads.
heir=$1 heir_hex=$2

# Reads `own` and `leader` (0: there is none) from this host's etcd.
read_leader() {
    gateway maintenance/status '{}'
    [ "$status" = 200 ] || fail "etcd did not give its status (HTTP $status): $answer"
    own=$(printf %s "$answer" | sed -n 's/.*"member_id": *"\([0-9]*\)".*/\1/p')
    leader=$(printf %s "$answer" | sed -n 's/.*"leader": *"\([0-9]*\)".*/\1/p')
    leader=${leader:-0}
}

read_leader
[ "$leader" = "$own" ] || done_with '{}'
read_members
entry=$(member_entry "$answer" "\"$heir\"")
case $entry in
    '') precondition_changed "member $heir is not in the list" ;;
    *'"isLearner":true'* | *'"isLearner": true'*) precondition_changed "member $heir is a learner" ;;
esac
active_peers | grep -qx "$heir_hex" ||
    precondition_changed "member $heir is not connected"

gateway_seconds=20
gateway maintenance/transfer-leadership "{\"targetID\":\"$heir\"}"
said=$answer
gateway_seconds=5
read_leader
[ "$leader" != "$own" ] || fail "this host still leads etcd after the hand-over: $said"
done_with '{}'
