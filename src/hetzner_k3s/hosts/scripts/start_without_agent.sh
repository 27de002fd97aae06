# start_without_agent: starts k3s on a restored host as a server without an agent, so that no kubelet runs beside old Nodes.
# Until start_with_agent.sh takes the drop-in away, every start is such a one, whoever makes it.
is_held && precondition_changed 'k3s is stopped and masked on this host'
[ ! -e "$our_state/restoring" ] || precondition_changed 'half a restore lies on this host'
has_wal && [ -s "$our_state/lineage" ] || precondition_changed 'no restored data lies on this host'
[ -e "$agentless" ] || k3s_is_down || precondition_changed 'k3s runs on this host, with its agent'
printf 'disable-agent: true\n' | write_atomically 0600 "$agentless" || fail "could not write $agentless"
said=$(systemctl start --no-block k3s.service 2>&1) || fail "systemd: $said"
done_with '{}'
