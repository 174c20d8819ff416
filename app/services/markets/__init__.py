"""Markets: their shards, pages, feed and quarantine."""
