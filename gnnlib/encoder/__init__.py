"""The one graph encoder that all heads share."""
