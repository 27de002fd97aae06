"""Networks of the lab: namespaces, links, packet filter, load balancers, the metadata service."""
