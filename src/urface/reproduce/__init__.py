"""The paper's comparison on your faces or on synthetic ones: train, judge, report."""

from urface.reproduce.run import reproduce

__all__ = ["reproduce"]
