"""Public contract checks that any encoder, head or solver can be put through."""
