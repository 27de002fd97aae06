# tidy_k3s: removes what other releases of k3s unpacked here (200 MB each), but for what a process still runs from: the
# shims of containers that outlived a restart.
data=$k3s_data/data
current=$(readlink -f "$data/current") || done_with '{}'
for folder in "$data"/*; do
    case ${folder##*/} in *[!0-9a-f]* | ?????) continue ;; esac
    [ -d "$folder" ] && [ ! -L "$folder" ] && [ "$folder" != "$current" ] || continue
    ls -l /proc/[0-9]*/exe 2>/dev/null | grep -qF -- "-> $folder/" || rm -rf "$folder"
done
done_with '{}'
