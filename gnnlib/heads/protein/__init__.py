"""Proteins as residue-distance graphs: read a structure, assign, fold from distances, judge a model."""
