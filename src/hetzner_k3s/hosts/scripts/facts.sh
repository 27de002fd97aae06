# print_facts: everything about this host in one JSON document, with few processes (a look takes a tenth of a second).

file_hash() {
    [ -r "$1" ] || return 0
    hash=$(sha256sum <"$1")
    printf %s "${hash%% *}"
}

# The 12 digits under which the datastore knows a token (docs/facts/k3s.md#bootstrap-key). Never in an argument list.
password_hash() {
    [ -n "$1" ] || return 0
    password=$1
    case $1 in K10*::*:*) password=${1#*::} && password=${password#*:} ;; esac
    hash=$(printf %s "$password" | sha256sum)
    printf '%.12s' "$hash"
}

# Reads `config_token`, `config_agent`, `config_server` and `config_database` (the endpoint) out of config.yaml, quoted or not, or where
# an agent of 2.x has them.
read_config() {
    config_token='' config_agent='' config_server='' config_database=''
    [ ! -r "$k3s_config" ] || read_config_file
    if [ -r "$agent_environment" ]; then
        [ -n "$config_token" ] || config_token=$(agent_setting K3S_TOKEN)
        [ -n "$config_server" ] || config_server=$(agent_setting K3S_URL)
    fi
}

read_config_file() {
    while IFS= read -r line; do
        value=${line#*:} && value=${value# }
        case $value in \"*\" | \'*\') value=${value#?} && value=${value%?} ;; esac
        case $line in
            token:*) config_token=$value ;;
            agent-token:*) config_agent=$value ;;
            server:*) config_server=$value ;;
            datastore-endpoint:*) config_database=$value ;;
        esac
    done <"$k3s_config"
}

# The 12 digits that tell a database from others: of its place, without user, password and options (model/identity.py).
database_digits() {
    [ -n "$1" ] || return 0
    hash=$(printf %s "$1" | tr '\n' ' ' | sed -e 's#://.*@#://#' -e 's#?.*$##' | tr -d '\n' | sha256sum)
    printf '%.12s' "$hash"
}

# The UID of the namespace kube-system as the API here reads it: only where no etcd of our own tells it.
uid_by_api() {
    [ -n "$config_database" ] || return 0
    curl -s -f -m 2 --cacert "$k3s_data/server/tls/server-ca.crt" --cert "$k3s_data/server/tls/client-admin.crt" \
        --key "$k3s_data/server/tls/client-admin.key" https://127.0.0.1:6443/api/v1/namespaces/kube-system 2>/dev/null |
        tr -d '\n' | sed -n 's/.*"uid": *"\([0-9a-f-]*\)".*/\1/p'
}

# The password that a server goes on with, as lines of `password,user,user,role`.
server_password() {
    [ -r "$k3s_data/server/cred/passwd" ] || return 0
    while IFS=, read -r password user _; do
        [ "$user" != server ] || printf %s "$password"
    done <"$k3s_data/server/cred/passwd"
}

# The 12 digits of the S3 settings in config.yaml (model/hosts/s3_settings.py): the keys do not leave the host.
s3_hash() {
    grep -qs '^etcd-s3' "$k3s_config" || return 0
    lines=$(grep '^etcd-s3' "$k3s_config" | sed 's/: */=/; s/="\(.*\)"$/=\1/; s/='\''\(.*\)'\''$/=\1/' | sort)
    hash=$(printf '%s\n' "$lines" | sha256sum)
    printf '%.12s' "$hash"
}

# The flags that are compared, one word a line, where a unit of 2.x holds them and there is no config.yaml: k3s' own
# installer writes each word of the command line in quotes on a line of its own (docs/facts/k3s.md#made-by-2x).
compared_flags() {
    [ ! -e "$k3s_config" ] || return 0
    follows=false
    cat "$server_unit" /etc/systemd/system/k3s-agent.service 2>/dev/null |
        sed -n "s/^[[:space:]]*'\(.*\)'[[:space:]]*\\\\*[[:space:]]*\$/\1/p" |
        while IFS= read -r word; do
            case $word in
                --kube-apiserver-arg* | --kube-scheduler-arg* | --kube-controller-manager-arg* | --kubelet-arg*) keep=true ;;
                --kube-cloud-controller-manager-arg* | --kube-proxy-arg* | --node-taint* | --tls-san*) keep=true ;;
                --disable | --disable=* | --etcd-snapshot-retention* | --etcd-snapshot-schedule-cron*) keep=true ;;
                -*) keep=false ;;
                *) keep=$follows ;;
            esac
            follows=false
            [ "$keep" = false ] || printf '%s\n' "$word"
            case $word in -*=*) ;; -*) follows=$keep ;; esac
        done | head -c 32768 | base64 -w 0
}

# The token that the unit of a master of 2.x starts it with.
environment_token() {
    sed -n 's/^K3S_TOKEN=//p' "$server_environment" 2>/dev/null | sed -n 's/^"\(.*\)"$/\1/; s/^'\''\(.*\)'\''$/\1/; $p'
}

# The lines of config.yaml that are compared with the cluster's file (model/hosts/host_config.py): nothing secret is among them.
compared_config() {
    [ -r "$k3s_config" ] || return 0
    keep=false
    while IFS= read -r line; do
        case $line in
            kube-apiserver-arg:* | kube-scheduler-arg:* | kube-controller-manager-arg:* | kubelet-arg:*) keep=true ;;
            kube-cloud-controller-manager-arg:* | kube-proxy-arg:* | node-taint:* | tls-san:* | disable:*) keep=true ;;
            etcd-snapshot-retention:* | etcd-snapshot-schedule-cron:*) keep=true ;;
            ' '* | -* | '#'* | '') ;;
            *) keep=false ;;
        esac
        [ "$keep" = false ] || printf '%s\n' "$line"
    done <"$k3s_config" | head -c 32768 | base64 -w 0
}

is_there() {
    if [ -e "$1" ]; then printf true; else printf false; fi
}

# Reads `agent_token`, only where it is a file of its own: k3s links it to the token where agents join with that one.
read_agent_token() {
    agent_token=''
    [ -L "$k3s_data/server/agent-token" ] || first_line "$k3s_data/server/agent-token" agent_token
}

# Reads `token` and `pinned_ca`, the CA hash that it pins: k3s writes both at each start.
read_pinned_ca() {
    first_line "$k3s_data/server/token" token
    pinned_ca=''
    case $token in K10*::*) pinned_ca=${token#K10} && pinned_ca=${pinned_ca%%::*} ;; esac
}

# Reads `server_ca`, the CA hash that the token pins, or else that of the certificate.
read_server_ca() {
    read_pinned_ca
    server_ca=${pinned_ca:-$(file_hash "$k3s_data/server/tls/server-ca.crt")}
}

# A file of CA certificates as it is: what a bundle hashes to depends on who signed whom (hosts/ca_bundle.py).
certificates() {
    [ ! -r "$1" ] || head -c 32768 <"$1" | base64 -w 0
}

disk_facts() {
    read_pinned_ca
    read_agent_token
    read_config
    wal=false
    has_wal && wal=true
    printf '{"wal":%s,"tombstone":%s,"reset_flag":%s,"config_present":%s,' "$wal" \
        "$(is_there "$k3s_data/server/db/etcd/tombstone")" "$(is_there "$k3s_data/server/db/reset-flag")" \
        "$(is_there "$k3s_config")"
    printf '"pinned_ca":%s,"server_cas":"%s","agent_cas":"%s",' "$(json_or_null "$pinned_ca")" \
        "$(certificates "$k3s_data/server/tls/server-ca.crt")" "$(certificates "$k3s_data/agent/server-ca.crt")"
    config_token_ca=''
    case $config_token in K10*::*) config_token_ca=${config_token#K10} && config_token_ca=${config_token_ca%%::*} ;; esac
    printf '"s3_hash":%s,"config":"%s",' "$(json_or_null "$(s3_hash)")" "$(compared_config)"
    printf '"registries":%s,' "$(json_or_null "$(file_hash "${k3s_config%/*}/registries.yaml" | cut -c -12)")"
    printf '"passwd_hash":%s,' "$(json_or_null "$(password_hash "$(server_password)")")"
    printf '"token_hash":%s,"config_token_hash":%s,"config_token_ca":%s,"config_server":%s,' \
        "$(json_or_null "$(password_hash "$token")")" "$(json_or_null "$(password_hash "$config_token")")" \
        "$(json_or_null "$config_token_ca")" "$(json_or_null "$config_server")"
    config_token_agent=false
    case $config_token in K10*::node:*) config_token_agent=true ;; esac
    printf '"agent_token_hash":%s,"config_agent_hash":%s,"config_token_agent":%s,' \
        "$(json_or_null "$(password_hash "$agent_token")")" "$(json_or_null "$(password_hash "$config_agent")")" \
        "$config_token_agent"
    printf '"unit_flag":"%s","flags":"%s","environment_token_hash":%s,' "$(unit_flag)" "$(compared_flags)" \
        "$(json_or_null "$(password_hash "$(environment_token)")")"
    printf '"config_database":%s,' "$(json_or_null "$(database_digits "$config_database")")"
    printf '"agent_servers":%s}' "$(json_string "$(agent_servers)")"
}

# The version that our download noted, as long as the binary is that very file; else k3s is asked, which is dear.
k3s_version() {
    [ -x /usr/local/bin/k3s ] || return 0
    first_line "$our_state/k3s-version" noted
    if [ "${noted#* }" = "$(stat -c %s:%Y /usr/local/bin/k3s)" ]; then
        printf %s "${noted%% *}"
    else
        timeout 5 /usr/local/bin/k3s --version 2>/dev/null | sed -n '1s/^k3s version \([^ ]*\).*/\1/p'
    fi
}

# The release that lies ready to be started, as long as that is the very file that was checked.
staged_version() {
    [ -x "$staged/k3s" ] || return 0
    first_line "$staged/k3s-version" noted_ready
    [ "${noted_ready#* }" != "$(stat -c %s:%Y "$staged/k3s")" ] || printf %s "${noted_ready%% *}"
}

# One question as curl's configuration, which curl forgets at `next`.
question() {
    printf '%s\n' "url = https://127.0.0.1:2382/v3/$1" "data = $2" "cacert = $k3s_data/server/tls/etcd/server-ca.crt" \
        "cert = $k3s_data/server/tls/etcd/client.crt" "key = $k3s_data/server/tls/etcd/client.key" \
        'max-time = 2' 'fail' 'silent' 'write-out = "\n%{http_code}\n"' 'next'
}

# Up to four questions over one connection; the first that fails ends it (without quorum the gateway hangs).
# Prints two lines an answer: the JSON and the HTTP status.
ask_etcd() {
    {
        question maintenance/status '{}'
        if [ "$healthy" = true ]; then
            question cluster/member/list '"{\"linearizable\":true}"'
            question kv/range '"{\"key\":\"L2Jvb3RzdHJhcC8=\",\"range_end\":\"L2Jvb3RzdHJhcDA=\",\"keys_only\":true}"'
            question kv/range "\"{\\\"key\\\":\\\"$kube_system_key\\\"}\""
        fi
    } | curl --fail-early --config - 2>/dev/null
}

# Takes the next answer of ask_etcd from stdin; null where there is none.
next_answer() {
    body='' code=''
    IFS= read -r body
    IFS= read -r code
    if [ "$code" = 200 ]; then printf %s "$body"; else printf null; fi
}

etcd_facts() {
    health=$(curl -s -m 1 http://127.0.0.1:2381/health)
    case $health in
        '{'*'"health":"true"'*'}') healthy=true ;;
        '{'*'}') healthy=false ;;
        *) printf null && return 0 ;;
    esac
    printf '{"health":%s,"peers":%s,' "$health" "$(json_string "$(active_peers)")"
    ask_etcd | {
        printf '"status":' && next_answer
        printf ',"members":' && next_answer
        printf ',"bootstrap":' && next_answer
        printf ',"kube_system":' && next_answer
    }
    printf '}'
}

# Sets `password` to that of a token, as curl's configuration takes it.
curl_password() {
    password=$1
    case $1 in K10*::*:*) password=${1#*::} && password=${password#*:} ;; esac
    case $password in *[\"\\]*) password=$(printf %s "$password" | sed 's/[\\"]/\\&/g') ;; esac
}

# Answers by label: the file that curl is told with has the passwords, so they are in no argument list. Servers' and
# agents' questions are told apart: with an agent token the servers' one is refused as an agent's
# (docs/facts/k3s.md#agent-token).
ask_supervisor() {
    read_agent_token
    curl_password "$token" && server_password=$password
    curl_password "${agent_token:-$token}"
    printf '%s\n' 'url = https://127.0.0.1:6443/v1-k3s/encrypt/status' "user = \"server:$server_password\"" \
        "cacert = $k3s_data/server/tls/server-ca.crt" 'max-time = 2' 'fail' 'silent' 'output = /dev/null' \
        'write-out = "\ntoken %{http_code}\n"' 'next' \
        'url = https://127.0.0.1:6443/v1-k3s/config' "user = \"node:$password\"" \
        "cacert = $k3s_data/server/tls/server-ca.crt" 'max-time = 2' 'fail' 'silent' \
        'write-out = "\nconfig %{http_code}\n"' 'next' 'url = https://127.0.0.1:6443/readyz' \
        "cacert = $k3s_data/server/tls/server-ca.crt" 'max-time = 2' 'fail' 'silent' \
        'write-out = "\napi %{http_code}\n"' | curl --config - 2>/dev/null
}

# Only the fields that masters must agree on leave the host: the document holds a key, too.
critical_fields='ClusterIPRanges|ServiceIPRanges|ClusterDNSs|ClusterDomain|FlannelBackend|EgressSelectorMode|DisableCCM'
critical_fields="$critical_fields|DisableHelmController|DisableNPC|DisableServiceLB|EmbeddedRegistry|EncryptSecrets"
critical_fields="$critical_fields|FlannelExternalIP|SupervisorMetrics"

# critical_only JSON
critical_only() {
    chosen=$(printf %s "$1" | grep -oE "\"($critical_fields)\": ?(\"[^\"]*\"|true|false|\\[[^]]*\\])" | tr '\n' ',')
    printf '{%s}' "${chosen%,}"
}

# K3s' last words where its first start was cut off right after etcd had begun its log: they come at every start, for ever
# (docs/facts/k3s.md#cut-off-bootstrap). Words from before this log are of an earlier one.
cut_off='failed to reconcile with local datastore: (failed to create temporary datastore client: failed to read consistent index'
cut_off="$cut_off|no bootstrap data found in datastore).*"

birth_cut_off() {
    has_wal || return 0
    systemctl -q is-active k3s.service && return 0
    journalctl -q -u k3s --since "@$(stat -c %Y "$k3s_data/server/db/etcd/member/wal")" -o cat --no-pager 2>/dev/null |
        grep 'level=fatal' | tail -n 1 | grep -oE "$cut_off" | tr -cd '\40-\176' | cut -c -300
}

last_complaint() {
    journalctl -q -u k3s -n 300 -o cat --no-pager 2>/dev/null | grep -E 'level=(error|fatal)' | tail -n 1 |
        sed 's#://[^ ]*@#://#g' | tr -cd '\40-\176' | cut -c -300
}

# Of the k3s server that runs here: whether it takes the token in its file, what it was started with, its API.
# One that cannot use its external database may have no files yet: then its last words are all there is.
supervisor_facts() {
    read_config
    [ -r "$k3s_data/server/tls/server-ca.crt" ] && first_line "$k3s_data/server/token" token && [ -n "$token" ] || {
        if [ -z "$config_database" ]; then
            printf null
        else
            printf '{"token_status":"","api_status":"","config":{},"complaint":%s,"uid":null}' \
                "$(json_or_null "$(last_complaint)")"
        fi
        return 0
    }
    ask_supervisor | {
        config='' token_status='' api_status='' complaint=''
        while IFS= read -r line; do
            case $line in
                'token '*) token_status=${line#* } ;;
                'api '*) api_status=${line#* } ;;
                '{'*) config=$line ;;
            esac
        done
        uid=$(uid_by_api)
        case $api_status in
            200 | 401 | 403) [ -z "$config_database" ] || [ -n "$uid" ] || complaint=$(last_complaint) ;;
            *) complaint=$(last_complaint) ;;
        esac
        printf '{"token_status":"%s","api_status":"%s","config":%s,"complaint":%s,"uid":%s}' "$token_status" \
            "$api_status" "$(critical_only "$config")" "$(json_or_null "$complaint")" "$(json_or_null "$uid")"
    }
}

# Each ends with a slash, the one character that no name can hold: a stray file may have blanks in its name.
snapshots() {
    cd "$k3s_data/server/db/snapshots" 2>/dev/null && stat -c '%s %Y %n/' -- * 2>/dev/null
}

units() {
    systemctl show -p Id -p LoadState -p ActiveState -p SubState -p NRestarts -p MainPID -p ExecMainStartTimestampMonotonic \
        k3s.service k3s-agent.service hetzner-k3s-op.service
}

# Pairs of interface and IPv4 address: flannel must be told which interface the private network is on.
interfaces() {
    ip -o -4 addr show scope global | sed -n 's/^[0-9]*: \([^ ]*\) *inet \([0-9.]*\).*/\1 \2/p'
}

# What of the file's commands and packages failed on this host, each with a mark behind it; its owner can say that it was
# put right since.
failed_commands() {
    [ ! -e "$our_state/commands/put-right" ] || return 0
    head -c 3000 "$our_state/commands/failed" 2>/dev/null | sed 's/$/ ;;/'
    cloud_init_said=$(grep -s package /var/lib/cloud/data/result.json) || return 0
    # A package that apt does not know never gets to apt: cloud-init looks first, and only its own words tell of it.
    apt_said=$(grep -E '^E: ' /var/log/cloud-init-output.log 2>/dev/null | tail -n 3)
    printf 'additional_packages failed: %s ;;' \
        "$(printf %s "${apt_said:-$cloud_init_said}" | tr -s '\n ' ' ' | cut -c -300)"
}

commands_wait() {
    if [ -e /usr/local/lib/hetzner-k3s/after-k3s ] && [ ! -e "$our_state/commands/ended" ]; then
        printf true
    else
        printf false
    fi
}

print_facts() {
    first_line /etc/machine-id machine_id
    first_line /proc/sys/kernel/hostname host_name
    first_line /proc/uptime uptime
    uptime=${uptime%% *}
    first_line "$our_state/ops/last" last_operation
    first_line "$our_state/lineage" lineage
    parent=${lineage#* }
    [ "$parent" != - ] || parent=''
    printf '{"machine_id":"%s","hostname":"%s","clock":%s,' "$machine_id" "$host_name" "$(date +%s.%N)"
    printf '"boot_finished":%s,"k3s_version":%s,' \
        "$(is_there /var/lib/cloud/instance/boot-finished)" "$(json_or_null "$(k3s_version)")"
    connection=${SSH_CONNECTION:-}
    printf '"interfaces":%s,"seen_from":%s,' "$(json_string "$(interfaces)")" "$(json_or_null "${connection%% *}")"
    printf '"uptime":%s,"units":%s,"operation":%s,' "${uptime:-0}" "$(json_string "$(units)")" "${last_operation:-null}"
    printf '"restoring":%s,"agentless":%s,' "$(is_there "$our_state/restoring")" "$(is_there "$agentless")"
    printf '"failed_commands":%s,"commands_wait":%s,' "$(json_string "$(failed_commands)")" "$(commands_wait)"
    printf '"staged":%s,' "$(json_or_null "$(staged_version)")"
    printf '"cut_off":%s,' "$(json_or_null "$(birth_cut_off)")"
    printf '"held":%s,"lineage":%s,"parent_lineage":%s,' "$(is_there "$held_mark")" \
        "$(json_or_null "${lineage%% *}")" "$(json_or_null "$parent")"
    printf '"disk":%s,"etcd":%s,"supervisor":%s,' "$(disk_facts)" "$(etcd_facts)" "$(supervisor_facts)"
    printf '"snapshots":%s}' "$(json_string "$(snapshots)")"
}
