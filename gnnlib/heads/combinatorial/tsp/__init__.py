"""The travelling salesman problem: a file or points in, a certified tour out."""
