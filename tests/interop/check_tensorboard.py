"""TensorBoard and TensorFlow read what `flowers train --log-dir` writes: every plugin's data, over HTTP as its page asks for them."""

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.histogram import summary as histogram_summary

from common import arguments, run

EPOCHS, BATCH, PHOTOS = 2, 32, 800
STEPS = PHOTOS // BATCH


def main():
    args = arguments(__doc__)
    data, out = args.demo / "data-seed-1", args.scratch / "run"
    settings = ["--data", data, "--image-size", 48, "--batch-size", BATCH, "--epochs", EPOCHS, "--seed", 3, "--out", out]
    printed = run(args.flowers, "train", *settings, "--log-dir")
    log = out / "log"
    assert f"tensorboard --logdir {log}" in printed, printed

    check_summary_iterator(log)
    check_event_accumulator(log, out)
    check_histograms(log, out)
    with Server(log) as server:
        check_scalars(server)
        check_images(server)
        check_histograms_page(server)
        check_text(server)
        check_graph(server)
        check_hparams(server)
    check_resumed(args, settings, log)


def event_files(folder):
    return sorted(folder.glob("events.out.tfevents.*"))


def check_summary_iterator(log):
    """TensorFlow's own reader, which checks every CRC."""
    counts = {}
    for name in ["train", "eval"]:
        (file,) = event_files(log / name)
        events = list(tf.compat.v1.train.summary_iterator(str(file)))
        assert events[0].file_version == "brain.Event:2"
        assert events[1].session_log.status == tf.compat.v1.SessionLog.START
        counts[name] = len(events)
    print("tf.train.summary_iterator: events", counts)


def accumulated(folder):
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def numbers(accumulator, tag):
    return {event.step: tf.make_ndarray(event.tensor_proto) for event in accumulator.Tensors(tag)}


def check_event_accumulator(log, out):
    train, evaluation = accumulated(log / "train"), accumulated(log / "eval")
    ends = [STEPS * (epoch + 1) for epoch in range(EPOCHS)]
    accuracy = numbers(evaluation, "accuracy")
    assert list(accuracy) == ends and list(numbers(evaluation, "loss")) == ends
    # The same numbers as in the training state, to a 32-bit float.
    with safe_open(out / "training.safetensors", "np") as state:
        history = json.loads(state.metadata()["floret"])["progress"]["history"]
    assert [epoch["step"] for epoch in history] == ends
    np.testing.assert_allclose([epoch["eval"]["accuracy"] for epoch in history], list(accuracy.values()), rtol=1e-6)
    np.testing.assert_allclose([epoch["eval"]["loss"] for epoch in history], list(numbers(evaluation, "loss").values()), rtol=1e-6)
    every = list(numbers(train, "loss"))
    assert every == list(range(2, STEPS * EPOCHS + 1, 2)), every
    for tag in ["accuracy", "learning_rate", "gradient_norm", "images_per_second"]:
        values = numbers(train, tag)
        assert list(values) == every and all(np.isfinite(v) and v >= 0 for v in values.values()), (tag, values)
    graph = train.Graph()
    print("EventAccumulator: eval accuracy", [round(float(v), 4) for v in accuracy.values()], "graph of", len(graph.node), "nodes")


def check_histograms(log, out):
    """The last histograms are those that TensorBoard's own code counts of the saved weights."""
    train, saved = accumulated(log / "train"), load_file(out / "training.safetensors")
    compared = 0
    for tag in train.Tags()["tensors"]:
        kind, _, array = tag.partition("/")
        name = f"network/{array}"
        if kind != "weights":
            continue
        wanted = histogram_summary.pb(tag, saved[name].astype(np.float64), bucket_count=30)
        wanted = tf.make_ndarray(wanted.value[0].tensor)
        found = numbers(train, tag)[STEPS * EPOCHS]
        # Edges differ by rounding, so a value on one may count beside it.
        np.testing.assert_allclose(found[:, :2], wanted[:, :2], rtol=1e-9, atol=1e-12)
        assert np.abs(found[:, 2] - wanted[:, 2]).sum() <= 2 + 1e-6 * saved[name].size, tag
        assert found[:, 2].sum() == saved[name].size
        compared += 1
    assert compared == sum(name.startswith("network/") for name in saved) > 18, compared
    print("tensorboard.plugins.histogram: the same buckets of", compared, "arrays")


class Server:
    """TensorBoard itself."""

    def __init__(self, log):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.output = open(log.parent / "tensorboard.txt", "w+")
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", log, "--host", "127.0.0.1", "--port", self.port]
        self.process = subprocess.Popen([*map(str, command)], stdout=self.output, stderr=subprocess.STDOUT)

    def __enter__(self):
        for _ in range(600):
            try:
                # Runs come one by one.
                if set(self.get("data/runs")) == {"train", "eval"} and self.get("data/plugin/images/tags").get("eval"):
                    return self
            except OSError:
                pass
            assert self.process.poll() is None, self.log()
            time.sleep(0.5)
        raise SystemExit("tensorboard shows no runs\n" + self.log())

    def log(self):
        self.output.seek(0)
        return self.output.read()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.output.close()

    def fetch(self, path, body=None, **query):
        address = f"http://127.0.0.1:{self.port}/{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(address, None if body is None else json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def get(self, path, body=None, **query):
        return json.loads(self.fetch(path, body, **query))


def check_scalars(server):
    tags = {run: sorted(tags) for run, tags in server.get("data/plugin/scalars/tags").items()}
    assert tags == {
        "train": ["accuracy", "gradient_norm", "images_per_second", "learning_rate", "loss"],
        "eval": ["accuracy", "loss"],
    }, tags
    points = server.get("data/plugin/scalars/scalars", run="eval", tag="accuracy")
    assert [point[1] for point in points] == [STEPS, 2 * STEPS], points
    print("scalars:", tags, "eval accuracy", [round(point[2], 3) for point in points])


def check_images(server):
    wanted = {"train": ["batch", "filters/conv1/kernel"], "eval": ["confusion_matrix", "mistakes"]}
    tags = server.get("data/plugin/images/tags")
    assert {run: sorted(tags) for run, tags in tags.items()} == wanted, tags
    sizes = {}
    for run, tags in wanted.items():
        for tag in tags:
            for image in server.get("data/plugin/images/images", run=run, tag=tag):
                file = server.fetch("data/plugin/images/individualImage?" + image["query"])
                picture = Image.open(io.BytesIO(file))
                picture.load()
                assert picture.format == "PNG" and picture.mode == "RGB"
                sizes[tag] = picture.size
    print("images:", sizes)


def check_histograms_page(server):
    tags = server.get("data/plugin/histograms/tags")["train"]
    for kind in ["weights", "gradients"]:
        assert {f"{kind}/conv1/kernel", f"{kind}/logits/bias"} <= tags.keys(), tags.keys()
    steps = [entry[1] for entry in server.get("data/plugin/histograms/histograms", run="train", tag="weights/conv1/kernel")]
    assert steps == [0, STEPS, 2 * STEPS], steps
    assert server.get("data/plugin/distributions/tags")["train"].keys() == tags.keys()
    print("histograms:", len(tags), "tags, weights at steps", steps)


def check_text(server):
    assert server.get("data/plugin/text/tags") == {"train": ["summary"]}
    (text,) = server.get("data/plugin/text/text", run="train", tag="summary")
    # The table as code, so that its columns stay columns.
    assert text["text"].startswith("<pre><code>") and "multiply-adds" in text["text"], text
    print("text:", text["text"].split("\n")[-2].strip())


def check_graph(server):
    info = server.get("data/plugin/graphs/info")
    assert info["train"]["run_graph"], info
    graph = server.fetch("data/plugin/graphs/graph", run="train").decode()
    for text in ['op: "Conv2D"', 'name: "conv1/kernel"', 'name: "conv1/max_pool2d_1"', 'op: "Softmax"', "size: 48"]:
        assert text in graph, text
    print("graphs:", graph.count("node {"), "nodes")


def check_hparams(server):
    api = "data/plugin/hparams/"
    experiment = server.get(api + "experiment", {"experimentName": "0"})
    names = [info["name"] for info in experiment["hparamInfos"]]
    assert {"learning_rate", "optimizer", "batch_size", "seed", "skip_bad"} <= set(names), names
    metrics = [info["name"]["tag"] for info in experiment["metricInfos"]]
    assert metrics == ["accuracy", "loss"], metrics
    columns = [{"hparam": name} for name in names]
    columns += [{"metric": {"group": "", "tag": tag}} for tag in metrics]
    request = {"experimentName": "0", "allowedStatuses": ["STATUS_SUCCESS"], "colParams": columns, "startIndex": 0, "sliceSize": 9}
    (group,) = server.get(api + "session_groups", request)["sessionGroups"]
    assert group["hparams"]["optimizer"] == "momentum" and group["hparams"]["batch_size"] == BATCH, group
    values = {metric["name"]["tag"]: round(metric["value"], 4) for metric in group["metricValues"]}
    last = {tag: server.get("data/plugin/scalars/scalars", run="eval", tag=tag)[-1][2] for tag in metrics}
    assert values == {tag: round(value, 4) for tag, value in last.items()}, (values, last)
    assert group["sessions"][0]["status"] == "STATUS_SUCCESS", group
    print("hparams:", group["hparams"], values)


def check_resumed(args, settings, log):
    """A run that was killed after it had logged more than it saved: what comes again supersedes what there was."""
    before = numbers(accumulated(log / "train"), "loss")
    state = log.parent / "training.safetensors"
    saved = state.read_bytes()
    settings = [*settings, "--resume", "--log-dir"]
    settings[settings.index("--epochs") + 1] = EPOCHS + 1
    run(args.flowers, "train", *settings)
    state.write_bytes(saved)
    run(args.flowers, "train", *settings)
    after = numbers(accumulated(log / "train"), "loss")
    assert len(event_files(log / "train")) == 3
    assert list(after) == list(range(2, STEPS * (EPOCHS + 1) + 1, 2)), list(after)
    assert all(after[step] == before[step] for step in before)
    assert list(numbers(accumulated(log / "eval"), "accuracy")) == [STEPS, 2 * STEPS, 3 * STEPS]
    print("resumed twice: steps", min(after), "to", max(after), "of three files, each once")


main()
