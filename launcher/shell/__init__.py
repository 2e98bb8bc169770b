"""``cicada shell``: lines that are typed at a whole swarm, what they mean, and where they go."""
