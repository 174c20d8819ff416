"""Ships versions of durable code side by side; knows Kubernetes and Restate, and nothing of betting."""
