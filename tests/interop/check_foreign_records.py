"""Records between TensorFlow and floret, both ways: `inspect` names the flags that read TensorFlow's, `train` reads them so, and
tf.data reads floret's."""

import pathlib
import shlex
import sys

import tensorflow as tf

import common

sys.path.append(str(pathlib.Path(__file__).parent.parent / "fixtures"))
import make_foreign_records  # noqa: E402

TRAIN = ["--image-size", "32", "--epochs", "1", "--batch-size", "8"]


def flags(printed):
    """The flags that `inspect` names; none where it says so."""
    (line,) = [line for line in printed.splitlines() if line.startswith("flags:")]
    named = shlex.split(line.removeprefix("flags:"))
    return [] if named == ["none", "are", "needed"] else named


def check_foreign(args):
    make_foreign_records.main(args.scratch / "foreign", records=24)
    for maker, files, wanted, write_labels in [
        ("tfds", "*.tfrecord-*", ["--image-key", "image", "--label-key", "label", "--label-offset", "0"], False),
        ("slim", "*.tfrecord", ["--label-offset", "0"], False),
        ("keras", "train", [], True),
    ]:
        data = args.scratch / "foreign" / maker
        if maker == "slim":
            (data / "labels.txt").write_text("disc\nring\nsquare\n")
        more = ["--write-labels"] if write_labels else []
        named = flags(common.run(args.flowers, "inspect", data / files, *more))
        assert named == wanted, (maker, named)
        out = args.scratch / f"run-{maker}"
        printed = common.run(args.flowers, "train", "--data", data, "--out", out, *TRAIN, *named)
        assert "24 photos to train on" in printed, printed
        assert "3 classes: disc, ring, square" in printed, printed
        print(f"{maker}: inspect says {' '.join(named) or 'no flags'}, and train reads 24 photos of 3 classes with them")


def check_own(args):
    """Every record of the demo, by the keys of TensorFlow's image data sets."""
    data = args.demo / "data-seed-1"
    names = (data / "labels.txt").read_text().splitlines()
    keys = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        "image/class/text": tf.io.FixedLenFeature([], tf.string),
        "image/height": tf.io.FixedLenFeature([], tf.int64),
        "image/width": tf.io.FixedLenFeature([], tf.int64),
    }
    shards = sorted(str(path) for path in data.glob("*.tfrecord"))
    records = 0
    for example in tf.data.TFRecordDataset(shards).map(lambda record: tf.io.parse_single_example(record, keys)):
        label = int(example["image/class/label"])
        assert names[label] == example["image/class/text"].numpy().decode(), label
        shape = tf.io.decode_jpeg(example["image/encoded"], channels=3).shape
        assert shape == (example["image/height"], example["image/width"], 3), shape
        records += 1
    assert records == 1000, records
    print(f"tf.data: {records} records of floret's, labels as in labels.txt, photos of the size they claim")


def check_bytes(args):
    """Photos that floret converts are in its records byte for byte, under the label of their folder."""
    photos, data = args.scratch / "photos", args.scratch / "data"
    written = {}
    for record in tf.data.TFRecordDataset(str(args.scratch / "foreign/keras/train-00000-of-00001.tfrecord")):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        encoded = feature["image/encoded"].bytes_list.value[0]
        label = feature["image/class/label"].int64_list.value[0]
        path = photos / f"class {label}" / f"{len(written)}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded)
        written[path.name] = (encoded, label)
    common.run(args.flowers, "convert", photos, data)
    read = {}
    for record in tf.data.TFRecordDataset(sorted(str(path) for path in data.glob("*.tfrecord"))):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        name = feature["image/filename"].bytes_list.value[0].decode()
        read[name] = (feature["image/encoded"].bytes_list.value[0], feature["image/class/label"].int64_list.value[0])
    assert read == written, (len(read), len(written))
    print(f"tf.data: {len(read)} photos converted, each with the bytes and the label it came with")


def main():
    args = common.arguments(__doc__)
    check_foreign(args)
    check_own(args)
    check_bytes(args)


main()
