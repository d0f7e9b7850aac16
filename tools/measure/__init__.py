"""The runs that the book quotes, its tables, and what stores the notebooks."""
