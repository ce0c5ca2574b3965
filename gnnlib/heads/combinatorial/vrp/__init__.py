"""Vehicle routing: which vehicle serves whom, in which order, and when."""
