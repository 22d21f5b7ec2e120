"""A training step and a forward pass in TensorFlow, as compiled graphs (pip install tensorflow-cpu)."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

import harness

options = harness.arguments(__doc__, ["graph", "xla"])
tf.config.threading.set_intra_op_parallelism_threads(options.threads)
tf.random.set_seed(0)
variables = []


def variable(*shape):
    start = tf.random.truncated_normal(shape, stddev=0.05) if len(shape) > 1 else tf.fill(shape, 0.02)
    variables.append(tf.Variable(start))
    return variables[-1]


groups, hidden = harness.blocks(options.network)
channels, convolutions, dense = 3, [], []
for kernel, filters in groups:
    group = []
    for count in filters:
        group.append((variable(kernel, kernel, channels, count), variable(count)))
        channels = count
    convolutions.append(group)
inputs = harness.features(options.network, options.size)
for units in [*(hidden or []), harness.CLASSES]:
    dense.append((variable(inputs, units), variable(units)))
    inputs = units


def logits(x):
    for group in convolutions:
        for kernel, bias in group:
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)
        x = tf.nn.max_pool2d(x, 2, 2, "SAME")
    x = tf.reshape(x, [options.batch, -1]) if hidden else tf.reduce_mean(x, [1, 2])
    for index, (kernel, bias) in enumerate(dense):
        x = tf.matmul(x, kernel) + bias
        if index + 1 < len(dense):
            x = tf.nn.relu(x)
    return x


images = tf.random.normal([options.batch, options.size, options.size, 3])
labels = tf.range(options.batch) % harness.CLASSES
compiled = options.mode == "xla"


@tf.function(jit_compile=compiled)
def step():
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits(images))
        loss = tf.reduce_mean(losses)
    for weights, gradient in zip(variables, tape.gradient(loss, variables)):
        weights.assign_sub(harness.LEARNING_RATE * gradient)
    return loss


infer = tf.function(logits, jit_compile=compiled)
harness.report(
    f"tensorflow {tf.__version__} {options.mode}",
    options,
    train=lambda: float(step()),
    forward=lambda: infer(images).numpy(),
)
