"""A model whose BatchNorms rest, so that ranks, which each see a part of a batch, can do as one does."""

from __future__ import annotations

import torch
from torch import nn

from urface.config import TrainSettings
from urface.data.frames import Frames
from urface.models.urface import URFace, build_urface
from urface.training.train import training_faces


def frozen_model(settings: TrainSettings) -> URFace:
    """A model whose BatchNorms know the images and learn no more: each rank's would see half a batch."""
    torch.manual_seed(3)
    model = build_urface(settings.model, settings.objective)
    frames = Frames(training_faces(settings), 64, progress=False)
    images = torch.stack([torch.from_numpy(frames.get(i)[0]) for i in range(18)])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of the last batch
    with torch.no_grad():
        model(images)
    model.train = lambda mode=True: nn.Module.train(model, False)  # type: ignore[method-assign]
    return model.train()
