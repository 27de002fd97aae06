# stage_k3s VERSION <the script download-k3s: has a release lie ready on this host; what is installed and runs stays.
version=$1
tool=$our_run/download-k3s
write_atomically 0755 "$tool" || fail "could not write $tool"
(umask 022 && mkdir -p "$staged") || fail "could not make $staged"
said=$("$tool" "$version" "$staged" 2>&1) || fail "k3s $version: $(printf %s "$said" | tail -n 1)"
rm -f "$tool"
done_with '{}'
