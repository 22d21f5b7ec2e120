#!/usr/bin/env python3
"""Measures the usual ImageNet classifiers in floret, PyTorch and ONNX Runtime, alternately, and prints a table of ratios.

    cargo build --release --example flowers
    python3 -m venv peers && peers/bin/pip install torch torchvision timm numpy onnx onnxscript onnxruntime
    peers/bin/python benches/peers/networks.py                    # all: about twenty minutes on two cores
    peers/bin/python benches/peers/networks.py resnet18 --rounds 5

Networks have random weights, photos of 224 pixels and 1000 classes, and come to floret as the ONNX files that PyTorch exports,
in which batch norms are folded into convolutions. PyTorch runs with batch norms in inference mode, channels last; a training step
is a forward pass, cross-entropy, a backward pass and plain SGD on all weights. Each round runs every program once, so that a
machine whose speed drifts is unfair to none; the medians over the rounds make the ratios, over 1 where floret is faster.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent

# Photos in a training step, fewer where a step takes long.
NETWORKS = {
    "resnet18": 32, "resnet50": 8, "mobilenet_v2": 32, "efficientnet_lite0": 32, "efficientnet_b0": 16,
    "mobilenet_v3_small": 32, "regnet_y_400mf": 32, "densenet121": 8, "convnext_tiny": 8, "shufflenet_v2_x1_0": 32,
    "squeezenet1_1": 32, "vgg11_bn": 8,
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}; default all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--flowers", default=HERE.parents[1] / "target/release/examples/flowers")
    parser.add_argument("--peer", nargs=4, metavar=("PROGRAM", "NETWORK", "BATCH", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [name for name in options.networks if name not in NETWORKS]:
        parser.error(f"unknown networks: {', '.join(unknown)}")
    return options


def network(name):
    import torch

    torch.manual_seed(1)
    if name == "efficientnet_lite0":
        import timm

        return timm.create_model(name).eval()
    import torchvision

    return getattr(torchvision.models, name)().eval()


def export(name, path):
    import torch

    images = torch.zeros(1, 3, 224, 224)
    axes = {"input": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(network(name), (images,), str(path), dynamo=False, opset_version=17, input_names=["input"],
                      output_names=["logits"], dynamic_axes=axes)


def median_ms(steps, step):
    """Of so many steps, after two to warm up."""
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def run_pytorch(name, batch, _path, options):
    import torch

    torch.set_num_threads(options.threads)
    model = network(name).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    import resource

    train = median_ms(options.steps, step)
    return {"train_ms": train, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def run_onnxruntime(_name, batch, path, options):
    import numpy
    import onnxruntime

    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(path, session_options, providers=["CPUExecutionProvider"])
    images = numpy.random.default_rng(0).standard_normal((batch, 3, 224, 224), dtype=numpy.float32)
    return {"forward_ms": median_ms(options.steps, lambda: session.run(None, {"input": images}))}


def run_floret(path, batch, options):
    command = [options.flowers, "bench", "--model", path, "--image-size", "224", "--batch-size", str(batch),
               "--steps", str(options.steps), "--threads", str(options.threads)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return json.loads(next(line for line in lines if line.startswith("{")))


def run_peer(program, name, batch, path, options):
    command = [sys.executable, __file__, "--steps", str(options.steps), "--threads", str(options.threads),
               "--peer", program, name, str(batch), str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(result.stdout.splitlines()[-1])


def main():
    options = parse()
    if options.peer:
        program, name, batch, path = options.peer
        run = {"pytorch": run_pytorch, "onnxruntime": run_onnxruntime}[program]
        print(json.dumps(run(name, int(batch), path, options)))
        return
    print("| network | step of | floret | PyTorch | | one photo | ONNX Runtime | | 32 photos | ONNX Runtime | | peak memory | PyTorch | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in options.networks or NETWORKS:
        batch = NETWORKS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / f"{name}.onnx"
            export(name, path)
            measures = {}

            def note(key, value):
                measures.setdefault(key, []).append(value)

            for _ in range(options.rounds):
                ours = run_floret(path, batch, options)
                theirs = run_peer("pytorch", name, batch, path, options)
                for key in ["train_ms", "peak_mb"]:
                    note(f"floret {key}", ours[key])
                    note(f"peer {key}", theirs[key])
                for photos in [1, 32]:
                    note(f"floret {photos}", ours["forward_ms"] if photos == batch else run_floret(path, photos, options)["forward_ms"])
                    note(f"peer {photos}", run_peer("onnxruntime", name, photos, path, options)["forward_ms"])
        cells = [name, f"{batch} photos"]
        for key, unit in [("train_ms", "ms"), ("1", "ms"), ("32", "ms"), ("peak_mb", "MB")]:
            ours, theirs = (statistics.median(measures[f"{who} {key}"]) for who in ["floret", "peer"])
            cells += [f"{ours:.0f} {unit}" if ours >= 100 else f"{ours:.1f} {unit}", f"{theirs:.0f} {unit}", f"{theirs / ours:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


main()
