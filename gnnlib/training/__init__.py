"""Training loops: supervised `fit`, policy gradients, checkpoints, data-parallel runs."""
