"""What a declared preprocessing does to pixels, against a slow loop, and how one is declared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from small_model import pictures
from urface.data.decode import resize_image
from urface.recognisers.preprocessing import CONVENTIONS, network_input, read_preprocessing
from urface.recognisers.recogniser import Preprocessing
from urface.types import UserError


@given(
    colour=st.sampled_from(["rgb", "bgr"]),
    mean=st.floats(-300, 300),
    scale=st.floats(1e-4, 10),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_every_value_is_that_of_the_formula(colour, mean, scale, seed):
    image = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    got = network_input([image], Preprocessing(16, colour, mean, scale))
    assert got.shape == (1, 3, 16, 16)
    assert got.dtype == np.float32
    for y, x in ((0, 0), (3, 11), (15, 15)):
        for channel in range(3):
            pixel = int(image[y, x, channel if colour == "rgb" else 2 - channel])
            assert got[0, channel, y, x] == np.float32((pixel - mean) * scale)


def test_the_usual_one_is_to_the_bit_what_our_networks_do_themselves():
    frames = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    own = (torch.from_numpy(frames).permute(2, 0, 1).float() - 127.5) / 127.5
    assert np.array_equal(network_input([frames], Preprocessing(16))[0], own.numpy())


def test_faces_of_any_size_are_brought_to_the_frame_and_cut_from_its_centre():
    images = [pictures(1, 112)[0], pictures(1, 70, seed=1)[0]]
    got = network_input(images, Preprocessing(64, mean=0.0, scale=1.0, frame=70))
    for face, image in zip(got, images, strict=True):
        expected = resize_image(image, 70)[3:67, 3:67].transpose(2, 0, 1)
        assert np.array_equal(face, expected.astype(np.float32))


def test_a_preprocessing_is_declared_by_name_or_by_its_values():
    assert read_preprocessing("adaface") == CONVENTIONS["adaface"] == Preprocessing(colour="bgr")
    assert read_preprocessing("mean=0, scale=1/255") == Preprocessing(mean=0.0, scale=1 / 255)
    assert read_preprocessing("colour=bgr,size=96,frame=112") == Preprocessing(96, "bgr", frame=112)


@pytest.mark.parametrize(
    "text",
    [
        "", "rgb", "colour=red", "scale=0", "scale=-1", "scale=nan", "mean=inf", "scale=1/0", "size=112.5",
        "size=4", "size=9999", "frame=20", "mean=1,flip=yes", "mean=__import__('os')", "scale=1/2/3",
    ],
)  # fmt: skip
def test_what_is_no_preprocessing_is_refused_in_one_line(text):
    with pytest.raises(UserError, match="preprocessing") as caught:
        read_preprocessing(text)
    assert "\n" not in str(caught.value)
