"""Traffic scenes as graphs: forecast where everybody will go, and plan what to do."""
