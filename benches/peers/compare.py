#!/usr/bin/env python3
"""Measures floret beside its peers, alternately, and prints the table of ratios that README quotes.

    cargo build --release --example flowers
    python3 -m venv peers && peers/bin/pip install torch numpy tensorflow-cpu onnx onnxruntime openvino
    peers/bin/python benches/peers/compare.py                 # all but the pipelines: about twenty minutes on two cores
    peers/bin/python benches/peers/compare.py --data DIR      # and the pipelines, from the photos of DIR (train-*, labels.txt)
    peers/bin/python benches/peers/compare.py --only "64x64" --rounds 5

Use an otherwise idle machine. Each round runs every program once, one after another, so that a machine whose speed drifts
is unfair to none; the medians over the rounds make the ratios. `--isa avx2` holds all of them to AVX2. Frameworks can have
interpreters of their own: --pytorch, --tensorflow, --inference.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# What is measured: title, the line's key, network, side, batch, and the peers.
TRAINING = ["pytorch eager", "pytorch channels_last", "tensorflow graph"]
PYTORCH = TRAINING[:2]
FORWARD = ["onnxruntime", "openvino", "pytorch channels_last", "tensorflow graph"]
MEASURES = [
    ("train step, 64x64, batch 64", "train_ms", "reference", 64, 64, TRAINING),
    ("train step, 48x48, batch 64", "train_ms", "reference", 48, 64, TRAINING),
    ("train step, 224x224, batch 64", "train_ms", "reference", 224, 64, TRAINING),
    ("train step, 64x64, batch 8", "train_ms", "reference", 64, 8, TRAINING),
    ("train step of 3x3 layers, 64x64, batch 64", "train_ms", "vgg", 64, 64, TRAINING),
    ("train step of residual_small, 64x64, batch 64", "train_ms", "small", 64, 64, PYTORCH),
    ("train step of residual_small, 96x96, batch 64", "train_ms", "small", 96, 64, PYTORCH),
    ("forward, 64x64, batch 64", "forward_ms", "reference", 64, 64, FORWARD),
    ("forward, 64x64, one photo", "forward_ms", "reference", 64, 1, FORWARD),
    ("peak memory of training, 64x64, batch 64", "peak_mb", "reference", 64, 64, TRAINING),
    ("peak memory of training, 224x224, batch 64", "peak_mb", "reference", 224, 64, TRAINING),
]

# The same for programs that read photos: title, what is done with them, and how the epochs' rates become one.
PIPELINES = [
    ("photos decoded, 64x64, cropped", [], statistics.median),
    ("photos decoded, 64x64, resized", ["--fit", "resize"], statistics.median),
    ("photos from the cache, 64x64", ["--cache"], max),
    ("photos decoded and trained on, 64x64", ["--train"], statistics.median),
    ("photos from the cache trained on, 64x64", ["--train", "--cache"], max),
]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", help="folder of photos as records, for the pipelines")
    parser.add_argument("--only", default="", help="only measures whose title contains this")
    parser.add_argument("--isa", choices=["avx2"], help="hold all programs to this instruction set")
    parser.add_argument("--flowers", default=HERE.parents[1] / "target/release/examples/flowers")
    for framework in ["pytorch", "tensorflow", "inference"]:
        parser.add_argument(f"--{framework}", default=sys.executable, help="its Python interpreter")
    return parser.parse_args()


def commands(options, network, side, batch, peers):
    """The command of each program by name, floret's first."""
    sizes = ["--batch" if batch else "", str(batch)]
    common = ["--network", network, "--steps", str(options.steps), "--threads", str(options.threads)]
    yield "floret", [options.flowers, "bench", "--image-size", str(side), "--batch-size", str(batch), *common]
    for peer in peers:
        framework, _, mode = peer.partition(" ")
        script = framework if framework in ("pytorch", "tensorflow") else "inference"
        python = getattr(options, script)
        yield peer, [python, HERE / f"{script}_peer.py", "--size", str(side), *sizes, "--mode", mode or framework, *common]


def run(command, options):
    environment = dict(os.environ)
    if options.isa:
        environment |= dict(FLORET_ISA="avx2", ONEDNN_MAX_CPU_ISA="AVX2", DNNL_MAX_CPU_ISA="AVX2", ATEN_CPU_CAPABILITY="avx2")
    result = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    if result.returncode != 0 or not lines:
        last = result.stderr.strip().splitlines()[-1:] or ["no output"]
        print(f"  left out: {command[1]}: {last[0]}", file=sys.stderr)
        return []
    return lines


def rounds(programs, options):
    """The lines that each program printed, all rounds together; the programs take turns."""
    lines = {name: [] for name in programs}
    for _ in range(options.rounds):
        for name, command in programs.items():
            lines[name].append(run(command, options))
    return lines


def row(title, values, unit, better):
    """Prints a line of the table: floret beside the best of the others."""
    own = values.pop("floret")
    ranked = sorted(values.items(), key=lambda item: item[1], reverse=better is max)
    shown = [f"{value:g} {unit} ({name})" for name, value in ranked] or ["-"]
    ratio = float("nan") if not ranked else own / ranked[0][1] if better is max else ranked[0][1] / own
    print(f"| {title} | {own:g} {unit} | {shown[0]} | {', '.join(shown[1:])} | {ratio:.1f}x |", flush=True)


def pipelines(options):
    for title, what, rate in PIPELINES:
        if options.only not in title:
            continue
        common = ["--data", options.data, "--threads", options.threads, "--epochs", "3", *what]
        programs = {
            "floret": [options.flowers, "bench", "--pipeline", *common],
            "tf.data": [options.tensorflow, HERE / "pipeline_peer.py", *common],
        }
        lines = rounds(programs, options)
        values = {
            name: statistics.median(rate(line["img_s"] for line in got) for got in runs if got)
            for name, runs in lines.items()
            if any(runs)
        }
        row(title, values, "img/s", max)


def main():
    options = parse()
    seen = {}
    print("| measure | floret | fastest peer | others | ratio |\n| --- | --- | --- | --- | --- |")
    for title, key, network, side, batch, peers in MEASURES:
        if options.only not in title:
            continue
        # Training lines hold the memory too: one sitting serves both.
        sitting = (network, side, batch, tuple(peers))
        if sitting not in seen:
            lines = rounds(dict(commands(options, network, side, batch, peers)), options)
            seen[sitting] = {name: [got[-1] for got in runs if got] for name, runs in lines.items()}
        values = {
            name: statistics.median(line[key] for line in got) for name, got in seen[sitting].items() if got
        }
        row(title, values, "MB" if key == "peak_mb" else "ms", min)
    if options.data:
        pipelines(options)


if __name__ == "__main__":
    main()
