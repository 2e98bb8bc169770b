"""A window on a swarm: fed by its event bus or by a recording, and by nothing else."""
