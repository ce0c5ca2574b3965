"""Roads, lanes and junctions: as they are drawn, joined and measured."""
