# What etcd's files tell without an etcd: the database of a held host, and snapshots of it.

# gzip unpacks the archives that k3s makes, too.
content() {
    case $1 in *.zip) gzip -dc <"$1" 2>/dev/null ;; *) cat "$1" ;; esac
}

# What is no text ends a line: so keys and the strings in values stand apart, in protobuf and in JSON.
texts() { content "$1" | tr -c '[:print:]' '\n'; }

uid_in() {
    texts "$1" | grep -m 1 -A 30 '/registry/namespaces/kube-system' |
        grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -n 1
}
