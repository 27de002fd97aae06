"""What is known of a server, wanted or not, in three facts: contact, k3s and membership."""
