"""Scores of pairs and of matrices, and the fusion of faces into templates."""

from urface.scoring.cosine import cosine_matrix, cosine_score
from urface.scoring.fusion import fuse
from urface.scoring.likelihood import likelihood_matrix, likelihood_score
from urface.scoring.score import score, score_matrix

__all__ = [
    "cosine_matrix",
    "cosine_score",
    "fuse",
    "likelihood_matrix",
    "likelihood_score",
    "score",
    "score_matrix",
]
