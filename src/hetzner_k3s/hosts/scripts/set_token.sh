# set_token REVIVE(yes|no) <token: sets the line `token:` of config.yaml; the other lines stay. Nothing that runs is
# restarted. With REVIVE k3s must not be up here: its password file of an earlier token goes (k3s makes it anew from the
# datastore; docs/facts/k3s.md#token-rotation), and it is started.
revive=$1
IFS= read -r token
[ -n "$token" ] || fail 'no token was given'
[ -s "$k3s_config" ] || fail "there is no $k3s_config"
if [ "$revive" = yes ]; then
    [ ! -e "$our_state/held" ] || precondition_changed 'k3s is stopped and masked on this host'
    systemctl -q is-active k3s.service && precondition_changed 'k3s runs here, so it is not restarted'
    etcd_is_healthy && precondition_changed 'etcd is healthy here, so k3s is not restarted'
fi
{
    printf 'token: "%s"\n' "$(printf %s "$token" | sed 's/[\\"]/\\&/g')"
    grep -v '^token:' "$k3s_config"
} | write_atomically 0600 "$k3s_config" || fail "could not write $k3s_config"
if [ "$revive" = yes ]; then
    systemctl stop k3s.service
    rm -f "$k3s_data/server/cred/passwd" || fail 'could not remove server/cred/passwd'
    said=$(systemctl start --no-block k3s.service 2>&1) || fail "systemd: $said"
fi
done_with '{}'
