# reconnect_agent URL SERVERS: names another master to an agent whose masters are gone, and starts it anew; what it runs
# goes on. SERVERS are the masters that it knows, with commas, - for none: it may have learned of others meanwhile.
known=$(agent_servers | tr -d '"')
[ "${known:--}" = "$2" ] || precondition_changed "its agent knows the masters ${known:-none}, not $2"
write_server "$1"
said=$(systemctl -q enable k3s-agent.service 2>&1 && systemctl restart --no-block k3s-agent.service 2>&1) || fail "systemd: $said"
done_with '{}'
