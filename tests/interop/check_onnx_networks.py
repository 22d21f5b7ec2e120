"""The usual classifiers with random weights, as both of PyTorch's exporters write them: floret gives ONNX Runtime's outputs within 1e-4
of the largest, and the same again from its own export.

Alone: check_onnx_networks.py FOLDER [NETWORK...] writes the networks; `FLORET_ONNX_EXPORTS=FOLDER cargo test --test files -- --ignored
exports_of_a_folder` compares. With --small FOLDER, writes the small networks that tests/fixtures/onnx/networks holds."""

import os
import pathlib
import subprocess
import sys

import torch

import onnx_networks
from common import arguments

# Other sets of operators are tried with the small networks: some in tests/fixtures, the rest here.
WAYS = {"script": ("script", 17), "dynamo": ("dynamo", 20)}
SMALL_WAYS = {"script": ("script", 17), "script11": ("script", 11), "dynamo": ("dynamo", 21), "dynamo18": ("dynamo", 18)}
OTHER_WAYS = {f"script{opset}": ("script", opset) for opset in [12, 13, 14, 15, 16, 19]} | {"dynamo19": ("dynamo", 19)}


def write(folder, names, networks, ways, side):
    for index, name in enumerate(names):
        torch.manual_seed(index)
        network = onnx_networks.trained(networks(name))
        onnx_networks.write(network, folder, name, ways, side)
        print(f"{name}: written", flush=True)


def compare(folder):
    subprocess.run(
        ["cargo", "test", "--test", "files", "--", "--ignored", "--nocapture", "exports_of_a_folder"],
        env={**os.environ, "FLORET_ONNX_EXPORTS": str(folder)}, check=True, cwd=pathlib.Path(__file__).resolve().parents[2],
    )


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--small":
        folder = pathlib.Path(sys.argv[2])
        torch.manual_seed(0)
        networks = onnx_networks.small()
        write(folder, sys.argv[3:] or networks, networks.get, SMALL_WAYS, 32)
        for path in folder.glob("*.onnx"):
            onnx_networks.without_traces(path)
        return
    if len(sys.argv) > 1 and not sys.argv[1].startswith("--"):
        write(pathlib.Path(sys.argv[1]), sys.argv[2:] or onnx_networks.NAMES, onnx_networks.usual, WAYS, 224)
        return
    args = arguments(__doc__)
    folder = args.scratch / "small"
    folder.mkdir()
    torch.manual_seed(0)
    networks = onnx_networks.small()
    write(folder, networks, networks.get, OTHER_WAYS, 32)
    compare(folder)
    # One after another: the largest takes 500 MB.
    for name in onnx_networks.NAMES:
        folder = args.scratch / name
        folder.mkdir()
        write(folder, [name], onnx_networks.usual, WAYS, 224)
        compare(folder)
        for path in folder.iterdir():
            path.unlink()


if __name__ == "__main__":
    main()
