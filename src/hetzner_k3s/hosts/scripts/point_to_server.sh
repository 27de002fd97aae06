# point_to_server URL: sets the line `server:` of config.yaml; the other lines stay, whatever the user's file says by now.
[ -s "$k3s_config" ] || fail "there is no $k3s_config"
{
    grep -v '^server:' "$k3s_config"
    printf 'server: "%s"\n' "$1"
} | write_atomically 0600 "$k3s_config" || fail "could not write $k3s_config"
done_with '{}'
