# point_to_server URL: sets the line `server:` of config.yaml; the other lines stay, whatever the user's file says by now.
# An agent of 2.x has no such file: there the line is K3S_URL of its environment.
if [ ! -s "$k3s_config" ] && [ -n "$(agent_setting K3S_URL)" ]; then
    {
        grep -v '^K3S_URL=' "$agent_environment"
        printf "K3S_URL='%s'\n" "$1"
    } | write_atomically 0600 "$agent_environment" || fail "could not write $agent_environment"
    done_with '{}'
fi
[ -s "$k3s_config" ] || fail "there is no $k3s_config"
{
    grep -v '^server:' "$k3s_config"
    printf 'server: "%s"\n' "$1"
} | write_atomically 0600 "$k3s_config" || fail "could not write $k3s_config"
done_with '{}'
