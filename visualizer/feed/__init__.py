"""Where events come from: a bus, or a recording. And what of them is kept, so that the picture can be stopped and turned back."""
