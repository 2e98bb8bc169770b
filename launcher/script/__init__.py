"""One peer from the terminal: the runtime language of its scripts, where it is bound, and what carries statements out."""
