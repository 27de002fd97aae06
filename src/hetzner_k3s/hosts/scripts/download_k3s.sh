#!/bin/sh
# download-k3s VERSION [FOLDER]: puts a k3s release in place: fetched, checked against the release's checksum file, one
# rename. cloud-init starts it at boot; the operation Install calls it again: the lock makes one wait for the other.
# With a FOLDER it lies ready there, beside what runs, and its note as well.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
version=$1
binary=/usr/local/bin/k3s
note=/var/lib/hetzner-k3s/k3s-version
[ $# -lt 2 ] || { binary=$2/k3s && note=$2/k3s-version; }

case $(uname -m) in
    x86_64) asset=k3s sums=sha256sum-amd64.txt ;;
    aarch64) asset=k3s-arm64 sums=sha256sum-arm64.txt ;;
    *) echo "no k3s release for $(uname -m)" >&2 && exit 1 ;;
esac
release=https://github.com/k3s-io/k3s/releases/download/$(printf %s "$version" | sed 's/+/%2B/g')

in_place() {
    [ -x "$binary" ] && [ "$(cat "$note" 2>/dev/null)" = "$version $(stat -c %s:%Y "$binary")" ]
}

fetch() {
    curl -fsSL --connect-timeout 10 --max-time 240 "$@"
}

fetch_checked() {
    sum=$(fetch "$release/$sums" | awk -v asset="$asset" '$2 == asset { print $1 }') || return 1
    [ -n "$sum" ] || { echo "the checksum file of $version does not list $asset" >&2 && return 1; }
    fetch -o "$binary.part" "$release/$asset" || return 1
    printf '%s  %s\n' "$sum" "$binary.part" | sha256sum -c --quiet - >&2
}

mkdir -p /run/hetzner-k3s /var/lib/hetzner-k3s "${binary%/*}"
exec 9>/run/hetzner-k3s/download.lock
flock -w 280 9 || { echo 'another download of k3s does not end' >&2 && exit 1; }
in_place && exit 0
for pause in 1 2 4 8 0; do
    if fetch_checked; then
        chmod 0755 "$binary.part"
        printf '%s %s\n' "$version" "$(stat -c %s:%Y "$binary.part")" >"$note.new"
        mv -f "$binary.part" "$binary"
        mv -f "$note.new" "$note"
        exit 0
    fi
    sleep "$pause"
done
rm -f "$binary.part"
echo "could not fetch $release/$asset, or its checksum is wrong" >&2
exit 1
