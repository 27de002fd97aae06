"""The ordinary way: bootstrap, provision, join, infrastructure, add-ons, kubeconfig, deletion."""
