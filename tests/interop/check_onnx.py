"""ONNX: onnx.checker accepts what `flowers export` writes, onnxruntime computes the same of it on pictures and photos, and networks
of PyTorch (both exporters) and of bare ONNX operators that `flowers import` reads answer as PyTorch and onnxruntime do."""

import json
import pathlib
import warnings

import numpy
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

from common import arguments, flipping, run

# Probabilities: what issue and documentation promise. Both sides compute in float32, and differ by some 1e-6.
TOLERANCE = 1e-4
PHOTOS = pathlib.Path(__file__).resolve().parents[2] / "../shared/flowers/photos"


def checked(path):
    """An ONNX file that is valid and whose shapes can be inferred, down to the outputs'."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    for output in inferred.graph.output:
        dims = output.type.tensor_type.shape.dim
        assert len(dims) == 2 and dims[0].dim_param == "batch" and dims[1].dim_value > 0, output
    return model


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def standardized(levels):
    """tf.image.per_image_standardization of a batch NHWC."""
    x = levels.astype(numpy.float64)
    axes = (1, 2, 3)
    deviation = numpy.maximum(x.std(axes, keepdims=True), 1 / numpy.sqrt(x[0].size))
    return ((x - x.mean(axes, keepdims=True)) / deviation).astype(numpy.float32)


def softmax(logits):
    e = numpy.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def predictions(flowers, model, files):
    """floret's probabilities of each file by class name."""
    lines = run(flowers, "predict", "--model", model, "--json", *files).splitlines()
    return [json.loads(line)["probabilities"] for line in lines]


def fitted(files, side, folder, mode="RGB"):
    """Pictures at the network's size, where floret has nothing left to fit: their files and their levels."""
    folder.mkdir()
    paths, levels = [], []
    for index, file in enumerate(files):
        image = Image.open(file).convert(mode).resize((side, side), Image.BILINEAR)
        paths.append(folder / f"{index:03}.png")
        image.save(paths[-1])
        levels.append(numpy.asarray(image))
    levels = numpy.stack(levels)
    return paths, levels if mode == "RGB" else levels[..., None]


def matrix(answers, classes):
    return numpy.array([[answer[name] for name in classes] for answer in answers])


def compare(what, got, want):
    error = numpy.abs(got - want).max()
    assert error <= TOLERANCE, f"{what}: outputs differ by {error}"
    assert (got.argmax(1) == want.argmax(1)).all(), what
    print(f"{what}: {len(got)} pictures, probabilities within {error:.1e}")


def check_export(args, model, files, name):
    """A trained model in every form, on pictures."""
    folder = args.scratch / name
    folder.mkdir()
    forms = {
        "plain": [], "nchw": ["--layout", "nchw"], "levels": ["--with-preprocessing"],
        "both": ["--output", "both", "--layout", "nchw", "--with-preprocessing"], "logits": ["--output", "logits"],
    }
    for form, flags in forms.items():
        run(args.flowers, "export", "--model", model, folder / f"{form}.onnx", *flags)
    written = checked(folder / "plain.onnx")
    metadata = {entry.key: json.loads(entry.value) for entry in written.metadata_props}
    classes, preprocess = metadata["floret.classes"], metadata["floret.preprocess"]
    mode = "L" if preprocess.get("channel_order") == "gray" else "RGB"
    paths, levels = fitted(files, preprocess["image_size"], folder / "pictures", mode)
    answers = predictions(args.flowers, model, paths)
    want = matrix(answers, classes)
    inputs = standardized(levels)
    for form in forms:
        checked(folder / f"{form}.onnx")
        x = levels if form in ("levels", "both") else inputs
        x = x.transpose(0, 3, 1, 2) if form in ("nchw", "both") else x
        outputs = session(folder / f"{form}.onnx").run(None, {"images": x})
        if form == "both":
            assert numpy.allclose(softmax(outputs[0]), outputs[1], atol=1e-6)
        got = softmax(outputs[0]) if form == "logits" else outputs[-1]
        compare(f"{name} {form}", got, want)
    # What floret wrote it reads again, and it is the same network.
    run(args.flowers, "import", folder / "plain.onnx", "--out", folder / "back.safetensors")
    again = predictions(args.flowers, folder / "back.safetensors", paths)
    assert again == answers, "the network that came back answers otherwise"


class Torch(nn.Module):
    """A network of the layers that both have."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 3, padding=1))
        self.down = nn.Conv2d(8, 8, 1)
        self.head = nn.Sequential(nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 3))

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.body(x) + self.down(x))


def check_torch(args, files):
    torch.manual_seed(1)
    net = Torch()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(16, 3, 32, 32) * 2 + 1)  # moves the averages
    net.eval()
    folder = args.scratch / "torch"
    folder.mkdir()
    (folder / "labels.txt").write_text("one\ntwo\nthree\n")
    paths, levels = fitted(files, 32, folder / "pictures")
    inputs = standardized(levels)
    with torch.no_grad():
        want = softmax(net(torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy())).numpy())
    example = (torch.zeros(2, 3, 32, 32),)
    names = {"input_names": ["x"], "output_names": ["y"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, example, folder / "script.onnx", dynamo=False, dynamic_axes={"x": {0: "n"}}, **names)
        shapes = ({0: torch.export.Dim("n")},)
        torch.onnx.export(net, example, folder / "dynamo.onnx", dynamo=True, dynamic_shapes=shapes, verbose=False, **names)
    assert (folder / "dynamo.onnx.data").is_file(), "weights in a file of their own are what is to be read"
    for exporter in ["script", "dynamo"]:
        model = folder / f"{exporter}.safetensors"
        run(args.flowers, "import", folder / f"{exporter}.onnx", "--out", model, "--labels", folder / "labels.txt")
        answers = predictions(args.flowers, model, paths)
        compare(f"torch {torch.__version__} {exporter}", matrix(answers, ["one", "two", "three"]), want)
        # And out again: strides, padding by numbers, batch norms and a residual block in onnxruntime.
        run(args.flowers, "export", "--model", model, folder / f"{exporter}-again.onnx")
        checked(folder / f"{exporter}-again.onnx")
        got = session(folder / f"{exporter}-again.onnx").run(None, {"images": inputs})[0]
        compare(f"torch {exporter} written again", got, want)


def check_operators(args, files):
    """TensorFlow's SAME as ONNX has it (auto_pad), at sizes and strides where it is uneven, pools with counted-out padding, a
    batch norm behind, a mean by name: computed by onnxruntime, and by floret."""
    generator = numpy.random.default_rng(1)
    constants = []

    def constant(name, *shape, low=-0.5):
        values = generator.uniform(low, low + 1, shape).astype(numpy.float32)
        constants.append(numpy_helper.from_array(values, name))
        return name

    def node(op, inputs, output, **attributes):
        return helper.make_node(op, inputs, [output], name=output, **attributes)

    same = {"auto_pad": "SAME_UPPER"}
    norm = [constant(f"n{i}", 6, low=low) for i, low in enumerate([0.5, -0.5, -0.5, 0.5])]
    nodes = [
        node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]),
        node("Conv", ["t", constant("k1", 6, 3, 3, 4), constant("b1", 6)], "c1", strides=[2, 2], **same),
        node("LeakyRelu", ["c1"], "l1", alpha=0.3),
        node("MaxPool", ["l1"], "p1", kernel_shape=[3, 3], strides=[2, 2], **same),
        node("AveragePool", ["p1"], "p2", kernel_shape=[2, 3], strides=[1, 2], count_include_pad=0, **same),
        node("BatchNormalization", ["p2", *norm], "n"),
        node("Conv", ["n", constant("k2", 4, 6, 3, 3)], "c2", dilations=[2, 2], pads=[2, 2, 2, 2]),
        node("Transpose", ["c2"], "u", perm=[0, 2, 3, 1]),
        node("ReduceMean", ["u"], "m", axes=[1, 2], keepdims=0),
        node("MatMul", ["m", constant("w", 4, 3)], "d"),
        node("Add", ["d", constant("b", 3)], "a"),
        node("Softmax", ["a"], "y", axis=1),
    ]
    floats = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "operators", [floats("x", ["n", 33, 33, 3])], [floats("y", ["n", 3])], constants)
    folder = args.scratch / "operators"
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "in.onnx")
    (folder / "labels.txt").write_text("one\ntwo\nthree\n")
    paths, levels = fitted(files, 33, folder / "pictures")
    want = session(folder / "in.onnx").run(None, {"x": standardized(levels)})[0]
    run(args.flowers, "import", folder / "in.onnx", "--out", folder / "model.safetensors", "--labels", folder / "labels.txt")
    answers = predictions(args.flowers, folder / "model.safetensors", paths)
    compare("onnxruntime's own operators", matrix(answers, ["one", "two", "three"]), want)
    run(args.flowers, "export", "--model", folder / "model.safetensors", folder / "out.onnx")
    checked(folder / "out.onnx")
    got = session(folder / "out.onnx").run(None, {"images": standardized(levels)})[0]
    compare("onnxruntime's own operators written again", got, want)


def demo_pictures(demo, folder):
    """The pictures that the demo keeps for evaluation, as files."""
    folder.mkdir()
    for shard in sorted(demo.glob("data-*/eval-*.tfrecord")):
        records, at = shard.read_bytes(), 0
        while at < len(records):
            length = int.from_bytes(records[at : at + 8], "little")
            record = records[at + 12 : at + 12 + length]
            # An example holds the picture as it is.
            (folder / f"{len(list(folder.iterdir())):04}.jpg").write_bytes(record[record.index(b"\xff\xd8\xff") :])
            at += length + 16
    return sorted(folder.iterdir())


def main():
    args = arguments(__doc__)
    model = next(args.demo.glob("run-*/model.safetensors"))
    files = demo_pictures(args.demo, args.scratch / "demo-pictures")
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    check_export(args, model, files, "demo")
    check_export(args, flipping(model, args.scratch / "flipping.safetensors"), files, "flipped")
    data = next(args.demo.glob("data*"))
    run(args.flowers, "train", "--data", data, "--channel-order", "gray", "--image-size", "32", "--epochs", "1", "--no-report",
        "--out", args.scratch / "gray")
    check_export(args, args.scratch / "gray" / "model.safetensors", files, "gray-levels")
    photos = sorted(PHOTOS.glob("*/*.jpg"))
    photos = photos[:: max(1, len(photos) // 40)]
    if photos:
        check_export(args, model, photos, "photos")
    else:
        print("no real photos beside the checkout: the demo's pictures alone were compared")
    check_torch(args, photos or files)
    check_operators(args, photos or files)


if __name__ == "__main__":
    main()
