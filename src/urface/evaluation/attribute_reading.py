"""What an attribute network says of the images of a data set, in one pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from urface.data.decode import DecodeError, resize_image
from urface.data.source import FaceSource
from urface.environment import Environment, placed
from urface.models.attribute_files import AttributeModel
from urface.models.attributes import FEATURES


@dataclass(frozen=True, eq=False)
class AttributeReadings:
    """Of the N images of a source, in its order.

    probabilities  [N, A] float32, 0..1 for each attribute, NaN where the image cannot be decoded
    features       [N, 512] float32, the pooled features, NaN likewise
    corrupt        key and reason of the images that cannot be decoded
    """

    probabilities: np.ndarray
    features: np.ndarray
    corrupt: dict[str, str]

    @property
    def readable(self) -> np.ndarray:
        """[N] bool."""
        return ~np.isnan(self.features[:, 0])


def read_attributes(
    model: AttributeModel,
    source: FaceSource,
    env: Environment,
    batch_size: int = 64,
    progress: bool = True,
) -> AttributeReadings:
    """Run ``model`` over the images of ``source``, each cut to the centre of its frame."""
    total = len(source)
    network = placed(model.network.eval(), env.device)
    probabilities = np.full((total, len(network.names)), np.nan, np.float32)
    features = np.full((total, FEATURES), np.nan, np.float32)
    corrupt: dict[str, str] = {}

    def frames(first: int) -> dict[int, np.ndarray]:
        good = {}
        for index in range(first, min(first + batch_size, total)):
            try:
                good[index] = _frame(source.image(index), model)
            except DecodeError as error:
                corrupt[source.keys[index]] = str(error)
        return good

    bar = tqdm(total=total, desc="attributes", unit=" faces", disable=not progress, leave=False)
    with bar, ThreadPoolExecutor(1) as pool, torch.inference_mode():
        ahead = pool.submit(frames, 0)
        for first in range(0, total, batch_size):
            good = ahead.result()
            ahead = pool.submit(frames, first + batch_size)
            if good:
                images = torch.from_numpy(np.stack(list(good.values()))).to(env.device)
                with env.autocast():
                    read = network(images)
                probabilities[list(good)] = torch.sigmoid(read.logits).cpu().numpy()
                features[list(good)] = read.features.cpu().numpy()
            bar.update(min(batch_size, total - first))
    return AttributeReadings(probabilities, features, corrupt)


def _frame(face: np.ndarray, model: AttributeModel) -> np.ndarray:
    margin = (model.frame_size - model.input_size) // 2
    end = margin + model.input_size
    return resize_image(np.ascontiguousarray(face), model.frame_size)[margin:end, margin:end]
