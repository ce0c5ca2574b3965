"""Measures of single tasks."""
