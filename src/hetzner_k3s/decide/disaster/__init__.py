"""What needs a consent since data is at stake: quorum lost, split brain, restore, a cluster given up."""
