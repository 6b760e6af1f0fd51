"""Faces from disk: decoding, the layouts a data set may have, and batches for training."""
