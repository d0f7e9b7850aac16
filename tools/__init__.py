"""What makes, measures and checks the book: `python -m tools.course` and the like."""
