"""The figures of a finished reproduction: collected, drawn by `urface.figures`, and explained."""

from urface.reproduce.illustrations.illustrate import FIGURES, illustrate

__all__ = ["FIGURES", "illustrate"]
