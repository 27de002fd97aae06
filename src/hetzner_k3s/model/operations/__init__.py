"""Host operations: frozen arguments, typed results. One static script in `hosts/scripts` serves each.

See docs/architecture.md#host-operations.

`mutating` operations run on the host as the one transient unit `hetzner-k3s-op.service`, outlive a cut connection and
carry the operator lock's id as `fence`: a host refuses one lower than the greatest it has seen.
"""
