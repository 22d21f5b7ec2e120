"""What the checks share: their arguments, and running `flowers`."""

import argparse
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
