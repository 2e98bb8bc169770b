"""A discrete-event swarm: the product's own RingNode and Router under virtual time, on a network that can do its worst.

Pure, like the cores it runs: a run is repeated bit for bit from its seed and its commands.

- ``swarm.Swarm``: peers and the network between them; commands, running, questions. Begin here, or with
- ``warm.warm_start``: an ideal ring with full tables from nothing.
- ``faults``: the commands as values, and plans of them. ``conditions``: what the network does to messages.
- ``adversary.Adversary``: what a peer does instead of what its honest cores want.
- ``truth.Truth``: the sorted ring, and who differs from it. ``checker.Checker``: Zave's invariants, after every step.
- ``trace.Fingerprint``: one hash of a run. ``statistics``: many values in a few numbers.
- ``script.play``: small scenarios and their transcripts.
"""
