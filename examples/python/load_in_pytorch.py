"""floret's reference network in PyTorch: python3 load_in_pytorch.py run/model.safetensors photo.jpg ...

Prints a line of JSON for each photo. Needs torch, safetensors, numpy and pillow. `flowers predict --json` prints the same
probabilities within 1e-4 for photos that have the network's size already; of others each library decodes and shrinks in its
own way, which moves them a little.
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors import safe_open
from safetensors.torch import load_file


def logits(weights, images):
    """What the network says of standardized images, NHWC."""
    x = images.permute(0, 3, 1, 2)  # PyTorch wants NCHW,
    for n in range(1, 6):
        kernel = weights[f"conv{n}/kernel"].permute(3, 2, 0, 1)  # and OIHW for floret's HWIO
        x = F.relu(F.conv2d(x, kernel, weights[f"conv{n}/bias"], padding=2))
        x = F.max_pool2d(x, 2, ceil_mode=True)
    x = x.permute(0, 2, 3, 1).flatten(1)  # floret flattens NHWC
    for name in ["fc1", "fc2", "fc3"]:
        x = F.relu(x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"])
    return x @ weights["logits/kernel"] + weights["logits/bias"]


def standardized(path, size):
    """A photo as the network takes it, for a model trained with the default --fit, `resize`."""
    photo = ImageOps.exif_transpose(Image.open(path)).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    x = np.asarray(photo, np.float64)
    return torch.from_numpy((x - x.mean()) / max(x.std(), x.size**-0.5)).float()


if __name__ == "__main__":
    model, photos = sys.argv[1], sys.argv[2:]
    weights = load_file(model)
    with safe_open(model, "pt") as file:
        about = json.loads(file.metadata()["floret"])  # classes, preprocessing, layers
    if others := {"crop_share", "normalize", "channel_order"} & about["preprocess"].keys():
        raise SystemExit(f"{model}: only photos that are standardized each are prepared here, not by {', '.join(sorted(others))}")
    images = torch.stack([standardized(photo, about["preprocess"]["image_size"]) for photo in photos])
    answers = logits(weights, images)
    if about["network"].get("test_time_flip"):  # no part of the weights: the answer is the mean for a photo and its mirror image
        answers = (answers + logits(weights, images.flip(2))) / 2
    for photo, z, p in zip(photos, answers, answers.softmax(1)):
        named = {what: dict(zip(about["classes"], values.tolist())) for what, values in [("logits", z), ("probabilities", p)]}
        print(json.dumps({"file": photo, **named}))
