# write_ca_pin BEFORE CA RESTART(yes|no): lets the token in a worker's configuration pin the CA that followed BEFORE.
# The password stays as it is, and nothing that runs is restarted: with the old pin the next start would wait for ever
# (docs/facts/k3s.md#ca-rotation). With RESTART the agent waits so already, and is started anew.
read_config
pinned=''
case $config_token in K10*::*) pinned=${config_token#K10} && pinned=${pinned%%::*} ;; esac
[ "$pinned" = "$1" ] || [ "$pinned" = "$2" ] || precondition_changed "its token pins the CA ${pinned:-none}, not $1"
if [ "$3" = yes ]; then
    systemctl -q is-active k3s-agent.service && precondition_changed 'k3s runs here, so it is not restarted'
fi
file=$agent_environment
grep -qs '^token:' "$k3s_config" && file=$k3s_config
sed "/^\(token:\|K3S_TOKEN=\)/s/K10$1::/K10$2::/" <"$file" | write_atomically 0600 "$file" || fail "could not write $file"
if [ "$3" = yes ]; then
    said=$(systemctl restart --no-block k3s-agent.service 2>&1) || fail "systemd: $said"
fi
done_with '{}'
