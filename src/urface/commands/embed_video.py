"""`urface embed --video`: the people of a video, one template each."""

from __future__ import annotations

from typing import Any

import numpy as np

from urface.commands.parser import note


def embed_video(given: Any) -> int:
    """Embed the people of ``given.video``; the most and the least of their frames' weights are told."""
    from urface.photos.video import Video

    video = Video(given.video, given.fps)  # before torch is loaded: a wrong file is told of at once

    from urface.embedder import load
    from urface.photos import open_detector
    from urface.photos.people import check_weights_path, people_of, write_weights

    if given.weights:
        check_weights_path(given.weights)
    people = people_of(video, open_detector(given.detector), load(given.model), progress=True)
    keys = [f"{given.video}#{number}" for number in range(1, len(people.templates) + 1)]
    people.templates.save(given.output, keys)
    if given.weights:
        write_weights(given.weights, people.weights)
    person = people.weights["person"].to_numpy()
    weight, seconds = (people.weights[name].to_numpy() for name in ("weight", "seconds"))
    for number, key in enumerate(keys, 1):
        own, at = weight[person == number], seconds[person == number]
        print(
            f"{key}: {len(own)} frames, {at[0]:.1f} to {at[-1]:.1f} s; weights {own.min():.3g} (at "
            f"{at[np.argmin(own)]:.1f} s) to {own.max():.3g} (at {at[np.argmax(own)]:.1f} s), alike they "
            f"would be {1 / len(own):.3g}"
        )
    passing = f", {people.passing} seen once and left out" if people.passing else ""
    note(f"{given.output}: {len(keys)} people in {people.frames} frames{passing}")
    if video.expected > video.decoded:
        note(f"note: {given.video} ends after {video.decoded} of {video.expected} frames")
    return 0
