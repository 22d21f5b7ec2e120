"""What the checks share: their arguments, and running `flowers`."""

import argparse
import json
import pathlib
import subprocess


def arguments(description):
    """The arguments that run.sh gives each check."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--flowers", type=pathlib.Path, required=True, help="the program")
    parser.add_argument("--demo", type=pathlib.Path, required=True, help="folder of a demo: data-seed-1/, run-seed-1/")
    parser.add_argument("--scratch", type=pathlib.Path, required=True, help="an empty folder to work in")
    return parser.parse_args()


def run(program, *args):
    """What a program prints; its error if it fails."""
    done = subprocess.run([str(program), *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{program} {' '.join(map(str, args))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def flipping(model, out):
    """Writes a model with the same weights that answers with the mean for a photo and its mirror image."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    with safe_open(model, "np") as file:
        metadata = file.metadata()
    about = json.loads(metadata["floret"])
    about["network"]["test_time_flip"] = True
    del about["crc32c"]  # that of the file as it was
    save_file(load_file(model), out, {**metadata, "floret": json.dumps(about)})
    return out
