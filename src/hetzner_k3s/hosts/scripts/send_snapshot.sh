# send_snapshot NAME: the file as it is; what is wrong goes to stderr, since nothing but the file may go to stdout.
file=$k3s_data/server/db/snapshots/$1
case $1 in '' | */* | .*) (fail 'that is no name of a snapshot') >&2 || exit $? ;; esac
[ -s "$file" ] || (fail "this host has no snapshot $1") >&2 || exit $?
cat "$file"
