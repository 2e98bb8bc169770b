"""The swarm as a fold over its events. Pure."""
