"""From bytes of structure files to residues, and back."""
