# read_secret KIND: token, kubeconfig or config-token (of config.yaml, else of a 2.x agent's environment); base64, so
# that any text travels in JSON.
case $1 in
    token) text=$(cat "$k3s_data/server/token" 2>/dev/null) ;;
    kubeconfig) text=$(cat /etc/rancher/k3s/k3s.yaml 2>/dev/null) ;;
    config-token) text=$(sed -n 's/^token: *//p' "$k3s_config" 2>/dev/null | sed 's/^"\(.*\)"$/\1/; s/^'\''\(.*\)'\''$/\1/')
        [ -n "$text" ] || text=$(agent_setting K3S_TOKEN) ;;
esac
[ -n "${text:-}" ] || fail "this host has no $1"
done_with "{\"base64\":\"$(printf %s "$text" | base64 -w 0)\"}"
