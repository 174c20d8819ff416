"""Markets and what they take in: their shards, pages, feed and quarantine."""
