"""What made the embedded pictures and networks."""
