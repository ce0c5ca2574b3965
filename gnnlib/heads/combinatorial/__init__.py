"""Combinatorial optimisation on graphs: one sub-package per problem."""
