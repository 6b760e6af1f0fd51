"""Benchmarks as data: images, templates, and what is compared with what; one small file for each layout."""
