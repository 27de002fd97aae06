# Before every operation: where things are, how to answer, how to ask etcd.
# An operation prints one JSON document: {"result":…}, or {"error":KIND,"message":…} with an exit status of that kind.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077

k3s_data=/var/lib/rancher/k3s
k3s_config=/etc/rancher/k3s/config.yaml
agent_environment=/etc/systemd/system/k3s-agent.service.env
server_unit=/etc/systemd/system/k3s.service
server_environment=$server_unit.env
our_state=/var/lib/hetzner-k3s
our_run=/run/hetzner-k3s
held_mark=$our_state/held
staged=$our_state/staged
agentless=$k3s_config.d/hetzner-k3s-restore.yaml

# agent_setting NAME: a value from the environment that k3s' own installer gave an agent, as 2.x has it; quoted or not.
agent_setting() {
    [ -r "$agent_environment" ] || return 0
    sed -n "s/^$1=//p" "$agent_environment" | sed -n 's/^"\(.*\)"$/\1/; s/^'\''\(.*\)'\''$/\1/; $p'
}

# How the unit of a master that 2.x made starts k3s: `--cluster-init`, `--server`, or empty where it is not of 2.x.
unit_flag() {
    for unit_flag in --cluster-init --server; do
        grep -Eqs -- "(^|[[:space:]'])$unit_flag([[:space:]=']|\$)" "$server_unit" && printf %s "$unit_flag" && return 0
    done
    return 0
}

# Takes token and URL out of what 2.x had put into the units' environment: there they are stronger than config.yaml.
forget_environment() {
    for environment in "$server_environment" "$agent_environment"; do
        grep -Eqs '^K3S_(TOKEN|URL)=' "$environment" || continue
        grep -Ev '^K3S_(TOKEN|URL)=' "$environment" | write_atomically 0600 "$environment" || return 1
    done
}

# What is between the brackets of "ServerAddresses" in the file of the agent's own load balancer.
agent_servers() {
    [ -r "$k3s_data/agent/etc/k3s-agent-load-balancer.json" ] || return 0
    tr -d ' \n' <"$k3s_data/agent/etc/k3s-agent-load-balancer.json" | sed -n 's/.*"ServerAddresses":\[\([^]]*\)\].*/\1/p'
}

# first_line FILE VARIABLE
first_line() {
    eval "$2="
    [ -r "$1" ] && IFS= read -r "$2" <"$1"
    return 0
}

# json_string TEXT: a JSON string on one line. The pipe is only for texts that need it: a look must stay cheap.
json_string() {
    case $1 in
        *[!\ -~]* | *[\"\\]*) printf '"%s"' "$(printf %s "$1" | tr '\000-\037\177' ' ' | sed 's/[\\"]/\\&/g')" ;;
        *) printf '"%s"' "$1" ;;
    esac
}

json_or_null() {
    if [ -n "$1" ]; then json_string "$1"; else printf null; fi
}

# done_with JSON
done_with() {
    printf '{"result":%s}\n' "$1"
    exit 0
}

# refuse STATUS KIND MESSAGE
refuse() {
    printf '{"error":"%s","message":%s}\n' "$2" "$(json_string "$3")"
    exit "$1"
}

fail() { refuse 1 failed "$1"; }
precondition_changed() { refuse 3 precondition_changed "$1"; }

# gateway PATH BODY: one call to etcd's JSON gateway (docs/facts/etcd.md#gateway).
# Sets `answer` and `status` (000: no answer). Without quorum the gateway accepts and then answers nothing.
gateway() {
    answer=$(curl -s -m "${gateway_seconds:-5}" -w '\n%{http_code}' --cacert "$k3s_data/server/tls/etcd/server-ca.crt" \
        --cert "$k3s_data/server/tls/etcd/client.crt" --key "$k3s_data/server/tls/etcd/client.key" \
        -d "$2" "https://127.0.0.1:2382/v3/$1" 2>&1)
    status=${answer##*
}
    answer=${answer%
*}
}

# Reads the member list that a quorum agrees on into `answer`.
read_members() {
    gateway cluster/member/list '{"linearizable":true}'
    [ "$status" = 200 ] || fail "etcd did not give its member list (HTTP $status): $answer"
}

# Prints the ids in a member list, one a line; the header says "member_id", so "ID" is a member's alone.
member_ids() {
    printf %s "$1" | grep -o '"ID": *"[0-9]*"' | tr -dc '0-9\n' | sort
}

# Prints the entry of a member list that holds the text $2 (an id or a peer URL with its quotes).
member_entry() {
    printf %s "$1" | tr -d '\n' | sed 's/{ *"ID"/\n&/g' | grep -F -- "$2" | head -n 1
}

# demand_members LIST IDS: ends the operation where a member list holds others than those that were decided on (sorted).
demand_members() {
    [ "$(member_ids "$1")" = "$2" ] ||
        precondition_changed "etcd has other members than decided on: $(member_ids "$1" | tr '\n' ' ')"
}

# demand_no_learner LIST
demand_no_learner() {
    case $1 in *'"isLearner":true'* | *'"isLearner": true'*) precondition_changed 'a learner is in the cluster' ;; esac
}

# The ids, in hexadecimal, of the members that this host's etcd is connected to, one a line.
active_peers() {
    curl -s -m 2 http://127.0.0.1:2381/metrics |
        sed -n 's/^etcd_network_active_peers{.*Remote="\([0-9a-f]*\)".*} 1$/\1/p'
}

kube_system_key=L3JlZ2lzdHJ5L25hbWVzcGFjZXMva3ViZS1zeXN0ZW0=

# Reads the UID of the namespace kube-system out of etcd into `uid`: the first UUID of the value, protobuf or JSON.
read_uid() {
    gateway kv/range "{\"key\":\"$kube_system_key\"}"
    [ "$status" = 200 ] || fail "etcd did not give the namespace kube-system (HTTP $status): $answer"
    uid=$(printf %s "$answer" | sed -n 's/.*"value": *"\([^"]*\)".*/\1/p' | base64 -d 2>/dev/null |
        grep -aoE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -n 1)
}

# write_atomically MODE PATH <content: the file is old or new, whole, whatever happens; unchanged content is left alone.
write_atomically() {
    (umask 022 && mkdir -p "${2%/*}") || return 1
    cat >"$2.new" && chmod "$1" "$2.new" || return 1
    if cmp -s "$2.new" "$2" && [ "$(stat -c %a "$2")" = "${1#0}" ]; then
        rm -f "$2.new"
    else
        sync "$2.new" && mv -f "$2.new" "$2"
    fi
}

# put_files <lines "MODE PATH BASE64": writes each of them.
put_files() {
    while read -r mode path content; do
        printf %s "$content" | base64 -d | write_atomically "$mode" "$path" || return 1
    done
}

# The digest of k3s' units, and reload_units DIGEST: tells systemd of them where they are others than those.
units_digest() {
    cat /etc/systemd/system/k3s*.service 2>/dev/null | sha256sum
}

reload_units() {
    [ "$(units_digest)" = "$1" ] || systemctl daemon-reload
}

# Ends this script when its SSH session is closed: nobody would hear the answer of a wait. Stdin must be left open.
end_with_session() {
    exec 3<&0
    (cat <&3 && kill $$) >/dev/null 2>&1 &
    exec </dev/null
}

# sh has no local variables: this one's name must be nobody else's (it was `log`, and a reset's log went into the WAL).
has_wal() {
    for wal_found in "$k3s_data"/server/db/etcd/member/wal/*.wal; do
        [ -e "$wal_found" ] && return 0
    done
    return 1
}

# write_server URL: sets the line `server:` of config.yaml; the other lines stay, whatever the user's file says by now.
# Without a URL the line is taken out: of a master that is the only one.
# An agent of 2.x has no such file: there the line is K3S_URL of its environment.
write_server() {
    if [ ! -s "$k3s_config" ] && [ -n "$(agent_setting K3S_URL)" ]; then
        {
            grep -v '^K3S_URL=' "$agent_environment"
            printf "K3S_URL='%s'\n" "$1"
        } | write_atomically 0600 "$agent_environment" || fail "could not write $agent_environment"
        return 0
    fi
    [ -s "$k3s_config" ] || fail "there is no $k3s_config"
    {
        grep -v '^server:' "$k3s_config"
        [ -z "$1" ] || printf 'server: "%s"\n' "$1"
    } | write_atomically 0600 "$k3s_config" || fail "could not write $k3s_config"
}

# A held host: k3s was stopped on it and must not start, neither at boot nor by hand (see start_guard.sh).
is_held() { [ -e "$held_mark" ]; }

etcd_is_healthy() {
    case $(curl -s -m 1 http://127.0.0.1:2381/health) in *'"health":"true"'*) return 0 ;; esac
    return 1
}

k3s_is_down() {
    case $(systemctl show -p ActiveState --value k3s.service) in inactive | failed) return 0 ;; esac
    return 1
}
