# start_with_agent: ends what start_without_agent.sh began: k3s is started anew, with its agent, and from now on at boot.
# One that runs without the drop-in has its agent already and is left alone.
if [ -e "$agentless" ]; then
    systemctl stop k3s.service 2>/dev/null
    k3s_is_down || fail 'k3s could not be stopped'
    rm -f "$agentless" || fail "could not remove $agentless"
fi
said=$(systemctl -q enable k3s.service 2>&1 && systemctl start --no-block k3s.service 2>&1) || fail "systemd: $said"
done_with '{}'
