"""Fixtures of a picture and a head in it."""

from __future__ import annotations

import numpy as np
import pytest

from turned_head import head_of, smooth_picture
from urface.variations.pose import HeadView


@pytest.fixture
def picture() -> np.ndarray:
    return smooth_picture()


@pytest.fixture
def head() -> HeadView:
    return head_of()
