"""An index is brought to agree with the truth, whatever had happened to it."""

from __future__ import annotations

import numpy as np

from search.made import faces
from urface.search import ExactIndex, reconcile

EVERYONE = faces(np.arange(60), 1)


def test_what_is_missing_extra_or_changed_is_named_and_put_right():
    index = ExactIndex()
    index.add(np.arange(40), EVERYONE[:40])
    index.add(np.array([7]), EVERYONE[8])  # under a wrong id
    spoilt = EVERYONE[9]
    spoilt = type(spoilt)(spoilt.mean, spoilt.confidence, spoilt.variance * np.float32(1.0000002))
    index.add(np.array([9]), spoilt)  # one unit in the last place
    truth = np.arange(5, 50)
    found = reconcile(index, truth, lambda ids: EVERYONE[ids])
    assert found.missing == tuple(range(40, 50))
    assert found.extra == tuple(range(5))
    assert found.changed == (7, 9)
    np.testing.assert_array_equal(index.ids(), truth)
    np.testing.assert_array_equal(index.stored(truth)[0], EVERYONE.mean[truth])
    assert not reconcile(index, truth, lambda ids: EVERYONE[ids])


def test_an_empty_index_and_an_empty_truth():
    index = ExactIndex()
    assert len(reconcile(index, np.arange(3), lambda ids: EVERYONE[ids]).missing) == 3
    assert reconcile(index, [], lambda ids: EVERYONE[ids]).extra == (0, 1, 2)
    assert len(index) == 0
