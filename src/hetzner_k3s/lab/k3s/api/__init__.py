"""A small Kubernetes API on etcd: resources, patches, selectors, storage rules (pure) and their HTTP face."""
