#!/bin/sh
# The lab's installer at https://get.k3s.io: the documented environment of k3s' own one, as far as clusters use it
# (INSTALL_K3S_VERSION, _EXEC, _NAME, _BIN_DIR, _SKIP_START, _SKIP_ENABLE; K3S_* go to the unit).
set -eu

BIN=${INSTALL_K3S_BIN_DIR:-/usr/local/bin}
UNITS=/etc/systemd/system
RELEASES=https://github.com/k3s-io/k3s/releases/download

say() {
    echo "[INFO]  $*"
}

# The first word is the command; without one it is a server, or an agent where K3S_URL says whom to join.
choose_command() {
    case "${1:-}" in
        server | agent) COMMAND=$1 ;;
        '' | -*) if [ -n "${K3S_URL:-}" ]; then COMMAND=agent; else COMMAND=server; fi ;;
        *) echo "[ERROR]  the lab's installer installs a server or an agent, not '$1'" >&2; exit 1 ;;
    esac
}

digest() {
    cat "$BIN/k3s" "$UNIT" "$UNIT.env" 2>/dev/null | sha256sum
}

download() {
    if [ -z "${INSTALL_K3S_VERSION:-}" ]; then
        echo "[ERROR]  the lab's installer wants INSTALL_K3S_VERSION" >&2
        exit 1
    fi
    say "Using $INSTALL_K3S_VERSION as release"
    wanted=$(curl -sfL "$RELEASES/$INSTALL_K3S_VERSION/sha256sum-amd64.txt" | sed -n 's/ *k3s$//p')
    if [ "$(sha256sum "$BIN/k3s" 2>/dev/null | cut -d ' ' -f 1)" = "$wanted" ]; then
        say "Skipping binary downloaded, installed k3s matches hash"
        return
    fi
    say "Downloading binary $RELEASES/$INSTALL_K3S_VERSION/k3s"
    curl -sfL "$RELEASES/$INSTALL_K3S_VERSION/k3s" -o "$BIN/k3s.new"
    echo "$wanted  $BIN/k3s.new" | sha256sum --check --status
    chmod 755 "$BIN/k3s.new"
    mv "$BIN/k3s.new" "$BIN/k3s"
}

write_unit() {
    (umask 077; env | grep '^K3S_' >"$UNIT.env" || true)
    cat >"$UNIT" <<EOF
[Unit]
Description=Lightweight Kubernetes
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-$UNIT.env
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStart=$BIN/k3s $COMMAND$ARGUMENTS
EOF
}

# shellcheck disable=SC2086  # INSTALL_K3S_EXEC is several words
set -- ${INSTALL_K3S_EXEC:-} "$@"
choose_command "${1:-}"
[ "${1:-}" != "$COMMAND" ] || shift
ARGUMENTS=
for argument in "$@"; do
    ARGUMENTS="$ARGUMENTS '$argument'"
done
NAME=k3s
[ "$COMMAND" = server ] || NAME=k3s-agent
[ -z "${INSTALL_K3S_NAME:-}" ] || NAME=k3s-$INSTALL_K3S_NAME
UNIT=$UNITS/$NAME.service

before=$(digest)
mkdir -p "$BIN"
download
ln -sf k3s "$BIN/kubectl"
say "systemd: Creating service file $UNIT"
write_unit
systemctl daemon-reload
[ "${INSTALL_K3S_SKIP_ENABLE:-}" = true ] || systemctl enable --quiet "$NAME"
[ "${INSTALL_K3S_SKIP_START:-}" != true ] || exit 0
if [ "$(digest)" = "$before" ] && systemctl is-active --quiet "$NAME"; then
    say "No change detected so skipping service start"
    exit 0
fi
say "systemd: Starting $NAME"
systemctl restart "$NAME"
