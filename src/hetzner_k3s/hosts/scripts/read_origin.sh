# read_origin: how k3s was installed on a host that this tool did not make; no secret leaves it
# (docs/facts/k3s.md#made-by-2x).
unit=/etc/systemd/system/k3s.service
environment=/etc/systemd/system/k3s.service.env
flag='' bare=false configured=false runs=false
has_flag() { grep -Eqs -- "(^|[[:space:]'])$1([[:space:]=']|\$)" "$unit"; }
has_flag --server && flag=--server
has_flag --cluster-init && flag=--cluster-init
grep -qs '^K3S_TOKEN=' "$environment" && ! grep -Eqs "^K3S_TOKEN=['\"]?K10" "$environment" && bare=true
[ ! -s "$k3s_config" ] || configured=true
systemctl -q is-active k3s.service && runs=true
done_with "{\"flag\":\"$flag\",\"bare_token\":$bare,\"configured\":$configured,\"runs\":$runs}"
