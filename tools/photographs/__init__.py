"""Bring the photographs, look after them, serve them."""
