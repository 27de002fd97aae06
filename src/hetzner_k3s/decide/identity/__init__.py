"""Who answers: the project, the hosts, CA and UID, lineage. What does not agree is refused."""
