"""What trains the models, and what they learn from."""
