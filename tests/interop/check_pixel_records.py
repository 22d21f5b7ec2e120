"""Pixels as TensorFlow writes them into records without an image file: `inspect` tells the flags, and `train` and `eval` learn from them without."""

import numpy as np
import tensorflow as tf

import common

args = common.arguments(__doc__)
rng = np.random.default_rng(1)
COUNT, CLASSES = 120, ["stripes", "bars", "disc"]


def pictures(side, channels):
    """Stand-ins for MNIST's and CIFAR-10's: stripes, bars and discs with noise, and their classes."""
    y, x = np.mgrid[0:side, 0:side]
    images, labels = [], []
    for number in range(COUNT):
        label, phase = number % 3, rng.integers(0, 6)
        shape = [(y + phase) // 3 % 2, (x + phase) // 3 % 2, np.hypot(y - side / 2, x - side / 2 - phase + 3) < side / 3][label]
        levels = np.where(shape, 200, 50)[..., None] + rng.integers(-40, 40, (side, side, channels))
        images.append(np.clip(levels, 0, 255).astype(np.uint8))
        labels.append(label)
    return np.array(images), np.array(labels)


def feature(value):
    """A feature of bytes, floats or integers."""
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    values = np.ravel(value)
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


one_hot = lambda label: np.eye(3, dtype=np.float32)[label]
FORMS = {
    # As TensorFlow's own examples have it: convert_to_records.py of MNIST, generate_cifar10_tfrecords.py.
    "mnist": (28, 1, lambda image, label: {"image_raw": image.tobytes(), "height": 28, "width": 28, "depth": 1, "label": label}),
    "cifar": (32, 3, lambda image, label: {"image": image.transpose(2, 0, 1).tobytes(), "label": label}),
    "plain": (32, 3, lambda image, label: {"image_raw": image.tobytes(), "label": label}),
    "floats": (28, 1, lambda image, label: {"image": (image / 255).astype(np.float32).tobytes(), "label": label}),
    "signed": (28, 3, lambda image, label: {"img": (image / 127.5 - 1).astype(np.float32).tobytes(), "rows": 28, "cols": 28, "label": label}),
    "tensor": (32, 3, lambda image, label: {"image": tf.io.serialize_tensor(image).numpy(), "label": label}),
    "float_tensor": (28, 1, lambda image, label: {"image": tf.io.serialize_tensor((image / 255).astype(np.float32)).numpy(), "label": one_hot(label)}),
    "float_list": (28, 1, lambda image, label: {"image": (image / 255).astype(np.float32), "label": float(label)}),
    "names": (32, 3, lambda image, label: {"image": image.tobytes(), "label": CLASSES[label].encode()}),
    "int64_list": (28, 1, lambda image, label: {"pixels": image.astype(np.int64), "label": str(label).encode()}),
}

for name, (side, channels, record) in FORMS.items():
    data, run = args.scratch / name, args.scratch / f"run-{name}"
    data.mkdir()
    images, labels = pictures(side, channels)
    for split, part in (("train", slice(0, 90)), ("eval", slice(90, None))):
        with tf.io.TFRecordWriter(str(data / f"{split}.tfrecords")) as writer:
            for image, label in zip(images[part], labels[part]):
                features = {key: feature(value) for key, value in record(image, int(label)).items()}
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    (data / "labels.txt").write_text("\n".join(CLASSES) + "\n")
    told = common.run(args.flowers, "inspect", data / "train.tfrecords")
    (flags,) = [line for line in told.splitlines() if line.startswith("flags:")]
    printed = common.run(args.flowers, "train", "--data", data, "--out", run, "--image-size", side, "--epochs", 8, "--augment", "light", "--no-report")
    assert f"90 photos to train on, 30 to evaluate on, 3 classes: {', '.join(CLASSES)}" in printed, printed
    evaluated = common.run(args.flowers, "eval", "--data", data, "--model", run / "model.safetensors")
    (accuracy,) = [line for line in evaluated.splitlines() if "accuracy" in line]
    percent = float(accuracy.split("accuracy ")[1].split()[0])
    print(f"{name}: {flags}; {percent} % of 30 right")
    assert percent >= 85, evaluated
