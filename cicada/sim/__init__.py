"""A discrete-event swarm: the product's own RingNode and Router under virtual time, on a network that can do its worst.

Pure, like the cores it runs: a run is repeated bit for bit from its seed and its commands. Begin with ``swarm.Swarm``.
"""
