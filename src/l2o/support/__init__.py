"""Small helpers that all rooms use: checks, lengths of vectors, files, shared programs."""
