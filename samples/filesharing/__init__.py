"""The parts of samples/fileshare.py: rules without I/O (chunks, wire, fetching), and what carries them out."""
