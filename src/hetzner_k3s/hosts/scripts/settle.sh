# settle ID SECONDS: the outcome of an operation whose connection was cut; waits while it runs.
outcome=$our_state/ops/$1.json
ends=$(($(date +%s) + $2))
missed=0
while [ ! -e "$outcome" ]; do
    # The directory appears with the launch and goes after the outcome came; a launch may be a moment late.
    [ -e "$our_run/ops/$1" ] || missed=$((missed + 1))
    if [ "$missed" -ge 10 ] && [ ! -e "$outcome" ]; then
        grep -qs "\"$1\"" "$our_state/ops/last" && fail 'the host was restarted during the operation'
        refuse 6 never_ran 'the operation did not reach this host'
    fi
    [ ! -e "$our_run/ops/$1/begun" ] || systemctl -q is-active hetzner-k3s-op.service || [ -e "$outcome" ] ||
        fail 'the operation ended without a result'
    [ "$(date +%s)" -lt "$ends" ] || fail "the operation still runs after $2 s"
    sleep 0.2
done
cat "$outcome"
