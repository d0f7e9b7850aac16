"""The benchmark: this book beside other ways to train."""
