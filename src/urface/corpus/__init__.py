"""Embedding a corpus that outgrows one machine: parts on any store, each image in exactly one of them."""
