"""Error rates of face recognition, exact on counts, with 95% intervals. NumPy and SciPy only."""
