# restart_agent URL: starts an agent anew that knows no living master; the containers that it runs go on.
if [ -s "$k3s_config" ]; then
    grep -qxF "server: \"$1\"" "$k3s_config" || precondition_changed "$k3s_config does not name $1"
else
    [ "$(agent_setting K3S_URL)" = "$1" ] || precondition_changed "$agent_environment does not name $1"
fi
said=$(systemctl -q enable k3s-agent.service 2>&1 && systemctl restart --no-block k3s-agent.service 2>&1) || fail "systemd: $said"
done_with '{}'
