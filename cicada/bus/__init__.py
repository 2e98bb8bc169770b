"""The stream of a swarm's events: publishers, one proxy, subscribers, recordings."""
