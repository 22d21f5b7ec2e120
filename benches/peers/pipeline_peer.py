"""Photos a second through tf.data, from TFRecord files to standardized batches; with --train, through a training step too."""

import argparse
import glob
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", required=True, help="folder with train-*-of-*")
parser.add_argument("--size", type=int, default=64)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--fit", choices=["crop", "resize"], default="crop")
parser.add_argument("--cache", action="store_true", help="keep the fitted photos in memory")
parser.add_argument("--train", action="store_true", help="train the reference network on them")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
tf.config.threading.set_intra_op_parallelism_threads(options.threads)
tf.random.set_seed(0)

FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/class/label": tf.io.FixedLenFeature([], tf.int64),
}
side = options.size


def decode(record):
    example = tf.io.parse_single_example(record, FEATURES)
    photo = tf.io.decode_jpeg(example["image/encoded"], channels=3)
    if options.fit == "crop":
        photo = tf.image.resize_with_crop_or_pad(photo, side, side)
    else:
        photo = tf.cast(tf.image.resize(photo, [side, side]), tf.uint8)
    return photo, example["image/class/label"] - 1


def standardize(photo, label):
    return tf.image.per_image_standardization(photo), label


auto = tf.data.AUTOTUNE
records = tf.data.TFRecordDataset(sorted(glob.glob(f"{options.data}/train-*-of-*")), num_parallel_reads=2)
if options.cache:
    photos = records.map(decode, num_parallel_calls=auto).cache().shuffle(1024)
else:
    photos = records.shuffle(1024).map(decode, num_parallel_calls=auto)
batches = photos.map(standardize, num_parallel_calls=auto).batch(options.batch).prefetch(4)


def training_step():
    """The reference network as Keras layers, its step compiled to a graph."""
    layers = [tf.keras.Input((side, side, 3))]
    for filters in (32, 64, 128, 256, 256):
        layers += [tf.keras.layers.Conv2D(filters, 5, padding="same", activation="relu"), tf.keras.layers.MaxPool2D()]
    layers.append(tf.keras.layers.Flatten())
    layers += [tf.keras.layers.Dense(units, activation="relu") for units in (2048, 256, 64)]
    model = tf.keras.Sequential([*layers, tf.keras.layers.Dense(5)])

    @tf.function(reduce_retracing=True)
    def step(images, labels):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images, training=True))
            loss = tf.reduce_mean(losses)
        for weights, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables)):
            weights.assign_sub(5e-4 * gradient)
        return loss

    return step


step = training_step() if options.train else None
for epoch in range(options.epochs):
    started, images = time.perf_counter(), 0
    for photos, labels in batches:
        images += int(labels.shape[0])
        if step:
            float(step(photos, labels))
    seconds = time.perf_counter() - started
    line = dict(peer=f"tf.data {tf.__version__}", fit=options.fit, size=side, cache=options.cache, train=options.train)
    print(json.dumps(line | dict(epoch=epoch, images=images, img_s=round(images / seconds))), flush=True)
