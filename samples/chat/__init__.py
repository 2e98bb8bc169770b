"""The parts of samples/messenger.py: rules without I/O, the window that shows them, and what carries them out."""
