"""floret's recipe in PyTorch: the reference network, trained on photos (pip install torch numpy pillow).

    python3 benches/peers/recipe_peer.py --data DIR             # train-*, eval-*: records as `flowers convert` writes them
    flowers train --data DIR --network reference --image-size 64 --epochs 24      # floret's own

Both decode each photo once, keep it at 96x96, and change it anew in each epoch: random crops of 20 to 100 % of the area, rotation,
mirroring, colors, half of the photos cutmixed; label smoothing, Nesterov's momentum, weight decay of the kernels, clipped
gradients, half a cosine after a linear rise, averaged weights, answers over a photo and its mirror image. Here the changes are
done to whole batches at a time, hue is left as it is, and only the last epoch is evaluated. Prints a line of JSON after each epoch;
the last one has the accuracy.
"""

import argparse
import copy
import glob
import io
import json
import math
import struct
import time

import numpy
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

import pytorch_networks

CLASSES, SOURCE = 5, 96
RATE, DECAY, SMOOTHING, AVERAGE, DROPOUT, CUTMIX = 0.02, 5e-4, 0.1, 0.998, 0.2, 0.5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place


def fields(data):
    """Number and contents of each field of a protocol buffer message."""
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        length, place = varint(data, place)
        if key & 7 == 2:
            length, place = data[place : place + length], place + length
        yield key >> 3, length


def example(record):
    """The encoded photo and the label of a tf.train.Example."""
    features = {}
    for _, entries in fields(record):
        for _, entry in fields(entries):
            entry = dict(fields(entry))
            features[entry[1]] = next(contents for _, contents in fields(entry[2]))
    label = next(iter(fields(features[b"image/class/label"])))[1]
    label = varint(label, 0)[0] if isinstance(label, bytes) else label
    return next(iter(fields(features[b"image/encoded"])))[1], label


def photos(pattern, side):
    """All photos of some shards, resized to a square (N, 3, side, side), and their classes."""
    images, labels = [], []
    for path in sorted(glob.glob(pattern)):
        with open(path, "rb") as shard:
            while header := shard.read(12):
                encoded, label = example(shard.read(struct.unpack("<Q", header[:8])[0]))
                shard.read(4)
                photo = Image.open(io.BytesIO(encoded))
                photo.draft("RGB", (side, side))
                images.append(numpy.asarray(photo.convert("RGB").resize((side, side), Image.BILINEAR)))
                labels.append(label - 1)
    return torch.from_numpy(numpy.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def standardized(images):
    mean = images.mean((1, 2, 3), keepdim=True)
    deviation = images.std((1, 2, 3), keepdim=True, correction=0)
    return (images - mean) / deviation.clamp(min=1 / math.sqrt(images[0].numel()))


def uniform(n, low, high):
    return low + (high - low) * torch.rand(n)


def augmented(images, size):
    """Crop, rotation and mirroring as one resampling, then brightness, contrast and saturation."""
    n = len(images)
    area, ratio = uniform(n, 0.2, 1.0), torch.exp(uniform(n, math.log(0.75), math.log(4 / 3)))
    height, width = (area / ratio).sqrt().clamp(max=1), (area * ratio).sqrt().clamp(max=1)
    angle, mirror = uniform(n, -10, 10).deg2rad(), torch.randint(0, 2, (n,)) * 2 - 1
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = width * angle.cos() * mirror, -height * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = width * angle.sin() * mirror, height * angle.cos()
    theta[:, 0, 2], theta[:, 1, 2] = uniform(n, -1, 1) * (1 - width), uniform(n, -1, 1) * (1 - height)
    grid = functional.affine_grid(theta, (n, 3, size, size), align_corners=False)
    images = functional.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)
    each = (n, 1, 1, 1)
    images = images + 255 * uniform(n, -0.1, 0.1).view(each)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * uniform(n, 0.8, 1.2).view(each)
    gray = images.mean(1, keepdim=True)
    return standardized((gray + (images - gray) * uniform(n, 0.8, 1.2).view(each)).clamp(0, 255))


def cutmixed(images, targets):
    """Half of the photos get a rectangle of another, and as much of its target."""
    others, size = torch.randperm(len(images)), images.shape[-1]
    foreign, their_targets = images[others], targets[others]
    for example in torch.nonzero(torch.rand(len(images)) < CUTMIX).flatten().tolist():
        part = round(size * math.sqrt(torch.rand(1).item()))
        top, left = torch.randint(0, size - part + 1, (2,)).tolist()
        place = (example, slice(None), slice(top, top + part), slice(left, left + part))
        images[place] = foreign[place]
        targets[example].lerp_(their_targets[example], (part / size) ** 2)
    return images, targets


def factor(step, steps):
    """A linear rise over the first tenth, then half a cosine."""
    rise = steps // 10
    return (step + 1) / (rise + 1) if step < rise else 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


@torch.inference_mode()
def accuracy(network, images, labels):
    network.eval()
    logits = [network(part) + network(part.flip(3)) for part in images.split(250)]
    return (torch.cat(logits).argmax(1) == labels).float().mean().item()


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    begun = time.perf_counter()
    train, labels = photos(f"{options.data}/train-*", SOURCE)
    held_out, held_out_labels = photos(f"{options.data}/eval-*", options.size)
    held_out = standardized(held_out.float())

    network = pytorch_networks.build("reference", options.size, CLASSES, DROPOUT).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.constant_(module.bias, 0.02)
    average = copy.deepcopy(network)
    kernels = [weight for weight in network.parameters() if weight.dim() > 1]
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9, nesterov=True)
    # floret leaves a tiny last batch out too.
    per_epoch = len(train) // options.batch
    step, steps = 0, options.epochs * per_epoch
    for epoch in range(options.epochs):
        network.train()
        sum_of_losses = 0.0
        for chosen in torch.randperm(len(train)).split(options.batch)[:per_epoch]:
            images, targets = augmented(train[chosen], options.size), functional.one_hot(labels[chosen], CLASSES).float()
            images, targets = cutmixed(images, targets)
            rate = RATE * factor(step, steps)
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            outputs = network(images.to(memory_format=torch.channels_last))
            loss = functional.cross_entropy(outputs, targets, label_smoothing=SMOOTHING)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            with torch.no_grad():
                for kernel in kernels:
                    kernel.mul_(1 - rate * DECAY)
            optimizer.step()
            step += 1
            decay = min(AVERAGE, (1 + step) / (10 + step))
            with torch.no_grad():
                for ours, theirs in zip(average.parameters(), network.parameters()):
                    ours.lerp_(theirs, 1 - decay)
            sum_of_losses += loss.item() * len(chosen)
        line = dict(epoch=epoch + 1, loss=round(sum_of_losses / (per_epoch * options.batch), 3), seconds=round(time.perf_counter() - begun, 1))
        if epoch + 1 == options.epochs:
            line |= dict(accuracy=round(accuracy(average, held_out, held_out_labels), 4))
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
