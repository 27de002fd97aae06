# run_command BYTES <a script of BYTES bytes, and then stdin stays open>: runs it with bash, or with what its first line
# names, and ends with its status. When the session is closed, it is ended with all that it started.
unset LC_ALL
umask 022
set +u -f
place=$(mktemp -d) || exit 255
head -c "$1" >"$place/script"
if [ "$(wc -c <"$place/script")" -ne "$1" ]; then
    rm -rf "$place"
    exit 255 # the connection was cut before all of it had arrived: nobody listens
fi
interpreter=bash
[ "$(head -c 2 "$place/script")" != '#!' ] || interpreter=$(head -n 1 "$place/script" | tr -d '\r' | cut -c 3-)
exec 3<&0
# A line `#!` names a program and what it is given, hence no quotes.
setsid $interpreter "$place/script" </dev/null 3<&- &
command=$!
(
    cat <&3
    kill -TERM "-$command"
    sleep 5
    kill -KILL "-$command"
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$command"
ended=$?
kill "$watcher" 2>/dev/null
rm -rf "$place"
exit "$ended"
