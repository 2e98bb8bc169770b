"""Keys and the mouse as values, and what follows from them. Pure."""
