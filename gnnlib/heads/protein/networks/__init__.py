"""Heads on the shared encoder beside that of `gnnlib.heads.protein.head`."""
