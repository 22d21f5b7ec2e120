"""What the peers share: arguments, the networks' sizes, timing, and the line of JSON that each prints."""

import argparse
import json
import resource
import statistics
import time

CLASSES = 5
LEARNING_RATE = 5e-4


def arguments(description, modes=()):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--network", choices=["reference", "vgg", "small"], default="reference")
    parser.add_argument("--size", type=int, default=64, help="side of the image")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="steps to time, after two to warm up")
    parser.add_argument("--threads", type=int, default=2)
    if modes:
        parser.add_argument("--mode", choices=modes, default=modes[0])
    return parser.parse_args()


def blocks(network):
    """Convolutions as (kernel, [filters]), a 2x2 max-pool behind each group; and the hidden dense layers."""
    if network == "reference":
        return [(5, [filters]) for filters in (32, 64, 128, 256, 256)], [2048, 256, 64]
    return [(3, [filters, filters]) for filters in (64, 128, 256)], None


def features(network, size):
    """Inputs of the first dense layer. Without hidden dense layers a mean over all pixels comes before the last."""
    groups, hidden = blocks(network)
    for _ in groups:
        size = (size + 1) // 2
    channels = groups[-1][1][-1]
    return channels if hidden is None else size * size * channels


def median_ms(work, steps):
    for _ in range(2):
        work()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def report(peer, arguments, train=None, forward=None):
    """Times the functions that are given and prints the line."""
    line = dict(peer=peer, network=arguments.network, size=arguments.size, batch=arguments.batch, threads=arguments.threads)
    if train:
        train_ms = median_ms(train, arguments.steps)
        line |= dict(train_ms=round(train_ms, 1), train_img_s=round(arguments.batch / train_ms * 1e3, 1))
        line |= dict(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    if forward:
        line |= dict(forward_ms=round(median_ms(forward, arguments.steps), 2))
    print(json.dumps(line), flush=True)
