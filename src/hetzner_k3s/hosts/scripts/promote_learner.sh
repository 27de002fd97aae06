# promote_learner ADDRESS SECONDS: promotes the learner with this peer address as soon as it is in sync.
peer="\"https://$1:2380\""
ends=$(($(date +%s) + $2))
gateway_seconds=2
end_with_session
seen='it is not in the member list'

while [ "$(date +%s)" -lt "$ends" ]; do
    gateway cluster/member/list '{"linearizable":true}'
    entry=$(member_entry "$answer" "$peer")
    case $entry in
        '') seen=${answer:-etcd does not answer} && sleep 0.1 && continue ;;
        *'"isLearner":true'* | *'"isLearner": true'*) ;;
        *) done_with '{}' ;;
    esac
    id=$(printf %s "$entry" | sed -n 's/.*"ID": *"\([0-9]*\)".*/\1/p')
    gateway cluster/member/promote "{\"ID\":\"$id\"}"
    [ "$status" = 200 ] && done_with '{}'
    seen=$answer
    sleep 0.05
done
fail "the member at $1 is no voter after $2 s; etcd said: $seen"
