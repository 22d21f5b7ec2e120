"""PyTorch and NumPy read the arrays of a model file by examples/python/load_in_pytorch.py, and say of photos what floret says."""

import json
import pathlib
import struct
import subprocess
import sys
from io import BytesIO

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from common import arguments, flipping, run

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Probabilities differ by what sums of a few thousand products in 24 bits, in another order, leave in the logits: some 1e-5.
TOLERANCE = 1e-4


def demo_photos(folder, count):
    """The first JPEG files in the demo's shards: of each record, what begins as one."""
    shard = sorted((folder / "data-seed-1").glob("eval-*.tfrecord"))[0].read_bytes()
    at = 0
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", shard, at)
        record = shard[at + 12 : at + 12 + length]
        yield Image.open(BytesIO(record[record.index(b"\xff\xd8\xff") :]))
        at += 12 + length + 4


def check_arrays(model):
    """Names and layouts are those that the documentation of `floret::checkpoint` gives."""
    arrays = load_file(model)
    channels = [3, 32, 64, 128, 256, 256]
    for n, (before, after) in enumerate(zip(channels, channels[1:]), 1):
        assert arrays.pop(f"conv{n}/kernel").shape == (5, 5, before, after), f"conv{n}: HWIO"
        assert arrays.pop(f"conv{n}/bias").shape == (after,)
    width = None
    for name in ["fc1", "fc2", "fc3", "logits"]:
        kernel, bias = arrays.pop(f"{name}/kernel"), arrays.pop(f"{name}/bias")
        assert kernel.dtype == np.float32 and np.isfinite(kernel).all()
        assert bias.shape == kernel.shape[1:] and width in (None, kernel.shape[0]), f"{name}: (in, out)"
        width = kernel.shape[1]
    assert not arrays, f"more arrays than documented: {sorted(arrays)}"
    print(f"safetensors.numpy: every array by its documented name and shape; {width} classes")


def check_answers(flowers, model, files, about):
    """PyTorch says of photos what floret says; what that is."""
    script = ROOT / "examples/python/load_in_pytorch.py"
    theirs = [json.loads(line) for line in run(sys.executable, script, model, *files).splitlines()]
    ours = [json.loads(line) for line in run(flowers, "predict", "--json", "--model", model, *files).splitlines()]
    assert [a["file"] for a in ours] == [a["file"] for a in theirs] == [str(file) for file in files]
    worst = 0.0
    for our, their in zip(ours, theirs):
        assert list(our["probabilities"]) == list(their["probabilities"])
        p, q = (np.array(list(a["probabilities"].values())) for a in (our, their))
        assert our["class"] == max(our["probabilities"], key=our["probabilities"].get)
        assert our["probability"] == p.max() and abs(p.sum() - 1) < 1e-5
        worst = max(worst, abs(p - q).max())
    assert worst < TOLERANCE, f"probabilities differ by {worst}"
    classes = sorted({our["class"] for our in ours})
    print(f"PyTorch: {about}, {len(classes)} classes among the answers; "
          f"probabilities differ by {worst:.1e} at most (limit {TOLERANCE})")
    return ours


def main():
    args = arguments(__doc__)
    model = args.demo / "run-seed-1" / "model.safetensors"
    check_arrays(model)

    photos = list(demo_photos(args.demo, 12))
    real = sorted((ROOT / "../shared/flowers/photos").glob("*/*.jpg"))[::9]
    photos += [Image.open(path) for path in real]
    # At the network's own size every library sees the same pixels.
    with safe_open(model, "np") as file:
        size = json.loads(file.metadata()["floret"])["preprocess"]["image_size"]
    for number, photo in enumerate(photos):
        photo.convert("RGB").resize((size, size), Image.Resampling.BILINEAR).save(args.scratch / f"{number:03}.png")
    files = sorted(args.scratch.glob("*.png"))

    about = f"{len(files) - len(real)} demo and {len(real)} real photos"
    plain = check_answers(args.flowers, model, files, about)
    flipped = check_answers(args.flowers, flipping(model, args.scratch / "flipping.safetensors"), files, f"{about}, flipped")
    assert plain != flipped, "test-time flips change nothing"

    # A picture of the reasons, and a line for what is no photo.
    picture = args.scratch / "why" / "heat.png"
    picture.parent.mkdir()
    run(args.flowers, "predict", "--model", model, "--explain", picture, files[0])
    assert Image.open(picture).size == (512, 256)
    broken = args.scratch / "why" / "broken.jpg"
    broken.write_bytes(files[0].read_bytes()[:100])
    failed = subprocess.run([args.flowers, "predict", "--json", "--model", model, broken], capture_output=True, text=True)
    assert failed.returncode == 1 and set(json.loads(failed.stdout)) == {"file", "error"}, failed
    print(f"Pillow: the picture of --explain; json: {json.loads(failed.stdout)['error']!r} of a cut file")


main()
