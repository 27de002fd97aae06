# install VERSION <files: lines "MODE PATH BASE64"; then the binary. Nothing is started.
version=$1
units_before=$(units_digest)
put_files || fail "could not write $path"
reload_units "$units_before" || fail 'systemd did not take the new unit'
said=$(/usr/local/lib/hetzner-k3s/download-k3s "$version" 2>&1) || fail "k3s $version: $(printf %s "$said" | tail -n 1)"
for tool in kubectl crictl ctr; do
    command -v "$tool" >/dev/null || ln -s k3s "/usr/local/bin/$tool"
done
done_with '{}'
