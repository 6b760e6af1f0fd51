"""Run a model that `urface export` wrote, without urface: onnxruntime, numpy and opencv alone.

    python run_onnx.py model.onnx a.png b.png

a and b are aligned faces: 112 x 112, the eyes, nose and mouth at the file's template points. Prints how alike
they are, and how sure the model is of each.
"""

import json
import math
import sys

import cv2
import numpy as np
import onnxruntime


def open_model(path):
    """The session, and what the file says of itself."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map.get("urface")
    if told is None:
        sys.exit(f"{path}: not written by `urface export`")
    return session, json.loads(told)


def pixels_of(path, told):
    """An aligned face as the network sees it: RGB 0..255 float32 [3, S, S], the centre of the frame."""
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        sys.exit(f"{path}: not an image")
    size, frame = told["input"]["size"], told["input"]["frame"]
    shrinks = frame * frame < image.shape[0] * image.shape[1]
    if image.shape[:2] != (frame, frame):
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        image = cv2.resize(image, (frame, frame), interpolation=how)
    margin = (frame - size) // 2
    centre = image[margin : margin + size, margin : margin + size, ::-1]  # BGR to RGB
    return centre.transpose(2, 0, 1).astype(np.float32)


def likelihood(a, b, mean, variance):
    """The log-likelihood (up to a constant) that faces a and b are one person, given their variances."""
    dims = mean.shape[2]
    variance = variance.astype(np.float64)
    if variance.ndim == 2:  # one variance for all dimensions of a sub-embedding
        variance = np.repeat(variance[:, :, None], dims, 2)
    total = variance[a] + variance[b]
    distance = (mean[a].astype(np.float64) - mean[b]) ** 2
    return float(-0.5 * (distance / total + np.log(total)).sum())


def main(model, *photos):
    session, told = open_model(model)
    pixels = np.stack([pixels_of(path, told) for path in photos])
    mean, confidence, variance = session.run(["mean", "confidence", "variance"], {"pixels": pixels})
    cosine = float((mean[0] * mean[1]).sum(1).mean())
    score = likelihood(0, 1, mean, variance)
    print(f"likelihood {score:.4f}")
    print(f"cosine {cosine:.4f}")
    for path, face, sure in zip(photos, variance, confidence, strict=True):
        print(f"{path}: uncertainty {np.log(face).mean():.4f}, mean confidence {sure.mean():.2f}")
    decision = told["decision"]
    if decision and decision["calibration"]:
        fit = decision["calibration"]
        value = score if decision["method"] == "likelihood" else cosine
        chance = 1 / (1 + math.exp(-(fit["slope"] * value + fit["offset"])))
        share = 100 * fit["prior"]
        print(f"probability {chance:.4f} of one person, where {share:g} % of comparisons are")
        print(f"fitted on {decision['data']}")
        if decision["demonstration"]:
            print("a demonstration model, trained on made-up faces: not for decisions on people")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
