"""Weightings of several losses, one a file."""
