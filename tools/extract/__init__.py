"""Features of many pictures, by several processes."""
