"""TensorFlow checkpoints: TensorFlow reads what floret writes, floret what TensorFlow writes, and training goes on in both.

The network is that of the TensorFlow-1 script that floret's reference network comes from, built here as the script did,
its variables without names (`Variable`, `Variable_1`, ...).
"""

import json
import os
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file

from common import arguments, run

v1 = tf.compat.v1
SIDE, CLASSES = 48, 5
CHANNELS, UNITS = [32, 64, 128, 256, 256], [2048, 256, 64]
# Two orders of float32 sums over thousands of terms: far over their rounding, far under a wrong weight's effect.
TOLERANCE = 1e-4


class Script:
    """The script's graph: images to logits, the summed cross-entropy, a step of momentum."""

    def __init__(self, session_seed=1):
        self.graph = tf.Graph()
        with self.graph.as_default():
            v1.set_random_seed(session_seed)
            self.images = v1.placeholder(tf.float32, [None, SIDE, SIDE, 3])
            self.labels = v1.placeholder(tf.int64, [None])
            x, channels = self.images, 3
            for filters in CHANNELS:
                kernel = v1.Variable(v1.truncated_normal([5, 5, channels, filters], stddev=0.05))
                bias = v1.Variable(tf.constant(0.02, shape=[filters]))
                x = tf.nn.relu(tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME") + bias)
                x = tf.nn.max_pool2d(x, 2, 2, "SAME")
                channels = filters
            x = tf.reshape(x, [-1, int(np.prod(x.shape[1:]))])
            for layer, units in enumerate([*UNITS, CLASSES]):
                kernel = v1.Variable(v1.truncated_normal([x.shape[1], units], stddev=0.05))
                bias = v1.Variable(tf.constant(0.02, shape=[units]))
                x = tf.matmul(x, kernel) + bias
                x = tf.nn.relu(x) if layer < len(UNITS) else x
            self.logits = x
            self.variables = v1.global_variables()
            loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=self.labels, logits=x))
            self.step = v1.train.GradientDescentOptimizer(1e-4).minimize(loss)
            self.weights = v1.train.Saver(self.variables)
        self.session = v1.Session(graph=self.graph)
        with self.graph.as_default():
            self.session.run(v1.global_variables_initializer())

    def predict(self, images):
        logits = self.session.run(self.logits, {self.images: images}).astype(np.float64)
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        return logits, exp / exp.sum(axis=1, keepdims=True)

    def train(self, images, labels):
        self.session.run(self.step, {self.images: images, self.labels: labels})

    def save(self, prefix, step):
        with self.graph.as_default():
            self.weights.save(self.session, str(prefix), global_step=step)

    def restore(self, prefix):
        with self.graph.as_default():
            self.weights.restore(self.session, str(prefix))

    def values(self):
        return {variable.op.name: self.session.run(variable) for variable in self.variables}


def photos(folder, count):
    """Some of the shards' photos, as JPEG files of the network's own size (so that nothing resizes them), and as inputs."""
    folder.mkdir()
    names, inputs, labels = [], [], []
    for i, record in enumerate(tf.data.TFRecordDataset(sorted(map(str, DEMO_EVAL))).take(count)):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        image = tf.image.decode_jpeg(features["image/encoded"].bytes_list.value[0], channels=3)
        image = tf.image.resize_with_crop_or_pad(image, SIDE, SIDE)
        path = folder / f"{i:03}.png"
        path.write_bytes(tf.io.encode_png(image).numpy())
        names.append(path)
        inputs.append(tf.image.per_image_standardization(image).numpy())
        labels.append(features["image/class/label"].int64_list.value[0] - 1)
    return names, np.stack(inputs), np.array(labels)


def floret_predictions(flowers, model, names, classes):
    """The probabilities that `predict` gives (photos, classes), and what their printing rounds them by."""
    if "--json" in run(flowers, "predict", "--help"):
        lines = map(json.loads, run(flowers, "predict", "--model", model, "--json", *names).splitlines())
        return np.array([[line["probabilities"][c] for c in classes] for line in lines]), 0
    rows = []
    for line in run(flowers, "predict", "--model", model, "--top", len(classes), *names).splitlines():
        answers = re.findall(r"(\w+) ([0-9.]+) %", line)
        rows.append([float(dict(answers)[c]) / 100 for c in classes])
    return np.array(rows), 0.0005


def assert_predicts(what, flowers, model, names, classes, wanted):
    got, rounding = floret_predictions(flowers, model, names, classes)
    error = np.abs(got - wanted).max()
    assert got.shape == wanted.shape and error <= rounding + TOLERANCE, f"{what}: predictions differ by {error}"
    print(f"{what}: predictions of {len(names)} photos equal (largest difference {error:.1e})")


def assert_forward(what, model, inputs, logits):
    """The logits of a model file's weights, computed by TensorFlow as the script does, are those wanted."""
    arrays, x = load_file(model), inputs
    for block in range(1, 6):
        x = tf.nn.relu(tf.nn.conv2d(x, arrays[f"conv{block}/kernel"], 1, "SAME") + arrays[f"conv{block}/bias"])
        x = tf.nn.max_pool2d(x, 2, 2, "SAME")
    x = tf.reshape(x, [len(inputs), -1])
    for layer in ["fc1", "fc2", "fc3", "logits"]:
        x = x @ arrays[f"{layer}/kernel"] + arrays[f"{layer}/bias"]
        x = tf.nn.relu(x) if layer != "logits" else x
    error = np.abs(x.numpy() - logits).max() / np.abs(logits).max()
    assert error <= TOLERANCE, f"{what}: logits differ by {error}"
    print(f"{what}: logits equal (largest difference {error:.1e} of the largest)")


def assert_equal(what, got, wanted):
    assert got.keys() == wanted.keys(), (sorted(got), sorted(wanted))
    for name, values in wanted.items():
        assert got[name].dtype == values.dtype and got[name].tobytes() == values.tobytes(), f"{what}: {name} differs"
    print(f"{what}: {len(wanted)} tensors equal to the bit")


args = arguments(__doc__)
flowers, scratch = args.flowers, args.scratch
data, trained = args.demo / "data-seed-1", args.demo / "run-seed-1/model.safetensors"
DEMO_EVAL = data.glob("eval-*")
labels_file = data / "labels.txt"
classes = [name for name in labels_file.read_text().split("\n") if name and name != "background"]
names, inputs, labels = photos(scratch / "photos", 24)
floret_names = [f"{layer}/{part}" for layer in ["conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3", "logits"] for part in ["kernel", "bias"]]
script_names = ["Variable", *(f"Variable_{i}" for i in range(1, 18))]

# (a) TensorFlow writes, floret reads. TensorFlow 1's Saver:
script = Script()
for _ in range(3):
    script.train(inputs, labels)
script.save(scratch / "script/model.ckpt", 3)
logits, probabilities = script.predict(inputs)
model = scratch / "script.safetensors"
said = run(flowers, "import", scratch / "script/model.ckpt-3", "--labels", labels_file, "--image-size", SIDE, "--out", model)
assert "by the order in which the variables were made" in said, said
assert_equal("Saver -> import", load_file(model), dict(zip(floret_names, script.values().values())))
assert_forward("Saver -> import", model, inputs, logits)
assert_predicts("Saver -> import -> predict", flowers, model, names, classes, probabilities)
# By its folder and the script's names, or a map of names: the same file.
(scratch / "names.txt").write_text("".join(f"{a} = {b}\n" for a, b in zip(floret_names, script_names)))
for way, choice in [("script", "script"), ("map", scratch / "names.txt")]:
    again = scratch / f"{way}.safetensors"
    run(flowers, "import", scratch / "script", "--labels", labels_file, "--image-size", SIDE, "--names", choice, "--out", again)
    assert again.read_bytes() == model.read_bytes()

# A Keras model, with the optimizer (whose lists the variables are then saved under) and without.
keras = tf.keras.Sequential([tf.keras.Input((SIDE, SIDE, 3))])
for filters in CHANNELS:
    keras.add(tf.keras.layers.Conv2D(filters, 5, padding="same", activation="relu"))
    keras.add(tf.keras.layers.MaxPool2D(2, padding="same"))
keras.add(tf.keras.layers.Flatten())
for units in UNITS:
    keras.add(tf.keras.layers.Dense(units, activation="relu"))
keras.add(tf.keras.layers.Dense(CLASSES))
keras.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
keras.fit(inputs, labels, epochs=1, verbose=0)
keras_logits = keras(inputs).numpy()
exp = np.exp(keras_logits - keras_logits.max(axis=1, keepdims=True))
for way, objects in [("Keras and its optimizer", dict(model=keras, optimizer=keras.optimizer)), ("Keras", dict(model=keras))]:
    folder = scratch / way
    tf.train.Checkpoint(**objects).save(str(folder / "ck"))
    model = scratch / f"{way}.safetensors"
    said = run(flowers, "import", folder, "--labels", labels_file, "--image-size", SIDE, "--out", model)
    assert "by their layers" in said, said
    assert_equal(f"{way} -> import", load_file(model), dict(zip(floret_names, (w.numpy() for w in keras.weights))))
    assert_forward(f"{way} -> import", model, inputs, keras_logits)
    assert_predicts(f"{way} -> import -> predict", flowers, model, names, classes, exp / exp.sum(axis=1, keepdims=True))

# (b) floret writes, TensorFlow reads: by names,
wanted = load_file(trained)
out = scratch / "floret/model.ckpt"
out.parent.mkdir()
run(flowers, "export", "--model", trained, out)
reader = tf.train.load_checkpoint(str(out))
variables = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
step, graph = variables.pop("global_step"), variables.pop("_CHECKPOINTABLE_OBJECT_GRAPH")
assert step.dtype == np.int64 and step > 0 and graph
suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
by_object = {name.removesuffix(suffix): variables.pop(name) for name in list(variables) if name.endswith(suffix)}
assert_equal("export -> load_checkpoint", variables, wanted)
assert_equal("export -> load_checkpoint, the objects' names", by_object, wanted)
assert tf.train.latest_checkpoint(str(out.parent)) == str(out)
# by objects,
objects = {}
for name, values in wanted.items():
    layer, part = name.split("/")
    objects.setdefault(layer, tf.train.Checkpoint()).__setattr__(part, tf.Variable(tf.zeros(values.shape)))
tf.train.Checkpoint(**objects).read(str(out)).assert_existing_objects_matched()
restored = {f"{layer}/{part}": getattr(objects[layer], part).numpy() for layer, part in (n.split("/") for n in wanted)}
assert_equal("export -> tf.train.Checkpoint.read", restored, wanted)
# as the layers of a Keras model,
layers = {}
for i, layer in enumerate(l for l in keras.layers if l.weights):
    layers[floret_names[2 * i].split("/")[0]] = layer
tf.train.Checkpoint(**layers).read(str(out)).assert_existing_objects_matched()
assert_equal("export -> Keras' layers", dict(zip(floret_names, (w.numpy() for w in keras.weights))), wanted)
# and by Saver.restore into the script's graph.
run(flowers, "export", "--model", trained, "--names", "script", scratch / "floret/script.ckpt-7")
other = Script(session_seed=2)
other.restore(scratch / "floret/script.ckpt-7")
assert_equal("export -> Saver.restore", dict(zip(floret_names, other.values().values())), wanted)
logits, probabilities = other.predict(inputs)
assert_predicts("export -> Saver.restore", flowers, trained, names, classes, probabilities)
with tf.io.gfile.GFile(str(scratch / "floret/script.ckpt-7.index"), "rb") as file:
    assert file.read()[-8:] == bytes.fromhex("57fb808b247547db")

# (c) There and back: a step in TensorFlow, an epoch in floret, a step in TensorFlow.
run(flowers, "train", "--data", data, "--start-from", scratch / "script.safetensors", "--epochs", 1, "--out", scratch / "run", "--learning-rate", 0.001, "--average", 0, "--test-time-flip", "false")
run(flowers, "export", "--model", scratch / "run/model.safetensors", "--names", "script", scratch / "floret/back.ckpt")
script.restore(scratch / "floret/back.ckpt")
assert_equal("Saver -> import -> train -> export -> Saver.restore", dict(zip(floret_names, script.values().values())), load_file(scratch / "run/model.safetensors"))
logits, probabilities = script.predict(inputs)
assert_forward("there and back", scratch / "run/model.safetensors", inputs, logits)
before = load_file(scratch / "script.safetensors")["conv1/kernel"]
moved = np.abs(load_file(scratch / "run/model.safetensors")["conv1/kernel"] - before).max()
# An epoch of a few dozen small steps moves weights of 0.05 by some, and does not draw them anew.
assert 0 < moved < 0.02, moved
script.train(inputs, labels)
print(f"there and back: an epoch in floret moved the first kernel by at most {moved:.1e}; TensorFlow trains on")
