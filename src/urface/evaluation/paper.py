"""The paper's own numbers (supplementary, Tables 1 and 2), in percent, to stand beside ours.

They were measured on TinyFace and IJB-S, with 4.8 million training images: other data than ours, so
what can be compared is the order of the rows and the size of the steps between them.
"""

from __future__ import annotations

OTHER_DATA = (
    "The paper's columns are its supplementary's numbers on TinyFace and IJB-S after training on 4.8 "
    "million images (PFE 4.4, ArcFace 5.8): other data than ours, not to be compared value by value."
)

# benchmark, measure -> what the main paper reports of its final model
HEADLINE: dict[tuple[str, str], float] = {
    ("lfw", "accuracy"): 99.78,
    ("cfp_fp", "accuracy"): 98.64,
    ("megaface", "rank1"): 78.60,
    ("megaface", "tar@1e-6"): 95.04,
    ("ijbc", "tar@1e-4"): 96.6,
    ("tinyface", "rank1"): 63.89,
    ("tinyface", "rank5"): 68.67,
}

# row -> rank-1 and rank-5 on TinyFace, then on IJB-S
TABLE1: dict[str, tuple[float, ...]] = {
    "confidence_pa": (55.04, 60.97, 59.71, 66.32),
    "decorrelated_3_pa": (54.99, 61.32, 62.22, 67.03),
    "decorrelated_4_pa": (61.80, 67.94, 62.30, 67.51),
    "all_pa": (63.89, 68.67, 61.98, 67.12),
}

# row -> rank-1, 5, 10, TPIR at FPIR 1% and 10%: surveillance-to-single, then surveillance-to-booking
TABLE2: dict[str, tuple[float, ...]] = {
    "pfe": (50.16, 58.33, 62.28, 31.88, 35.33, 53.60, 61.75, 64.97, 35.99, 39.82),
    "arcface": (57.35, 64.42, 68.36, 41.85, 50.12, 57.36, 64.95, 68.57, 41.23, 49.18),
    "cosface": (47.94, 55.40, 59.37, 25.60, 36.03, 37.14, 46.75, 51.59, 24.75, 31.10),
    "cosface_va": (60.61, 66.53, 68.57, 31.97, 44.25, 51.27, 58.94, 63.25, 31.19, 44.22),
    "all": (58.94, 65.48, 68.31, 37.57, 50.17, 60.74, 66.59, 68.92, 37.11, 51.00),
    "all_pa": (59.79, 65.78, 68.20, 41.06, 53.23, 61.98, 67.12, 69.10, 42.73, 53.48),
}
