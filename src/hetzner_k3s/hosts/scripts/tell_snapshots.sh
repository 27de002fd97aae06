# tell_snapshots SECONDS: whose each snapshot of this host is, as it says itself, the newest first until the time is up.
# A snapshot is etcd's file with its checksum at the end; in it stand the namespace kube-system and the name under which
# the keys are sealed (docs/facts/k3s.md#bootstrap-key).
ends=$(($(date +%s) + $1))

is_whole() {
    told=$(content "$1" | tail -c 32 | od -An -v -tx1 | tr -d ' \n')
    sum=$(content "$1" | head -c -32 | sha256sum)
    [ "$told" = "${sum%% *}" ]
}

tokens_in() { texts "$1" | grep -oE '/bootstrap/[0-9a-f]{12}' | cut -c 12- | sort -u | tr '\n' ' '; }

tell() {
    cluster='' tokens=''
    if is_whole "$1"; then
        cluster=$(uid_in "$1") tokens=$(tokens_in "$1")
    fi
    printf '{"name":%s,%s,"sha256":"%s","uid":%s,"tokens":"%s"}' "$(json_string "$1")" \
        "$(stat -c '"size":%s,"created":%Y' "$1")" "$(file_hash "$1")" "$(json_or_null "$cluster")" "$tokens"
}

told_one=''
# One name a line: a stray file may have blanks in its name, or a star.
IFS='
'
set -f
printf '{"result":['
if cd "$k3s_data/server/db/snapshots" 2>/dev/null; then
    for name in $(ls -t); do
        [ -s "$name" ] && [ -f "$name" ] && [ "$(date +%s)" -lt "$ends" ] || continue
        printf %s "$told_one"
        tell "$name"
        told_one=,
    done
fi
printf ']}\n'
