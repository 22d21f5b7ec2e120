"""Networks for check_onnx_networks.py and the fixtures of tests/onnx: the usual classifiers, and small ones of the same operators."""

import contextlib
import io
import pathlib
import warnings

import numpy
import onnx
import onnxruntime
import torch
from safetensors.numpy import save_file
from torch import nn

# What torchvision and timm call them: each has operators that the others lack, or the same in another form.
NAMES = """resnet18 resnet50 vgg11_bn mobilenet_v2 mobilenet_v3_small efficientnet_b0 squeezenet1_1 densenet121 shufflenet_v2_x1_0
regnet_y_400mf convnext_tiny efficientnet_lite0""".split()


def usual(name):
    """The network `name` with random weights."""
    if name == "efficientnet_lite0":
        import timm

        return timm.create_model(name)
    import torchvision

    return getattr(torchvision.models, name)()


def norm_act(channels, activation):
    return [nn.BatchNorm2d(channels), activation()]


class Excitation(nn.Module):
    """Squeeze and excitation on images of one pixel; the gate comes first or second."""

    def __init__(self, channels, activation, gate, first):
        super().__init__()
        self.pool, self.first = nn.AdaptiveAvgPool2d(1), first
        self.fc1, self.fc2 = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
        self.activation, self.gate = activation(), gate()

    def forward(self, x):
        scale = self.gate(self.fc2(self.activation(self.fc1(self.pool(x)))))
        return scale * x if self.first else x * scale


class Inverted(nn.Module):
    """An inverted residual: wide, depthwise, narrow."""

    def __init__(self, cin, cout, stride, kernel, activation, excitation=None):
        super().__init__()
        wide = 2 * cin
        layers = [nn.Conv2d(cin, wide, 1, bias=False), *norm_act(wide, activation)]
        layers += [nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False), *norm_act(wide, activation)]
        layers += [excitation(wide)] if excitation else []
        layers += [nn.Conv2d(wide, cout, 1, bias=False), nn.BatchNorm2d(cout)]
        self.body, self.around = nn.Sequential(*layers), stride == 1 and cin == cout

    def forward(self, x):
        return x + self.body(x) if self.around else self.body(x)


def stem(channels, activation, stride=2):
    return [nn.Conv2d(3, channels, 3, stride, 1, bias=False), *norm_act(channels, activation)]


class Hardswish(nn.Module):
    """As in MobileNet v3's paper, written out."""

    def forward(self, x):
        return x * nn.functional.relu6(x + 3) / 6


def mobile(activation, excitation=None, kernel=3):
    blocks = [Inverted(6, 6, 1, kernel, activation, excitation), Inverted(6, 8, 2, kernel, activation, excitation)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 5)]
    return nn.Sequential(*stem(6, activation), *blocks, *head)


class Fire(nn.Module):
    """SqueezeNet's: two convolutions beside each other."""

    def __init__(self, cin):
        super().__init__()
        self.squeeze, self.one, self.three = nn.Conv2d(cin, 4, 1), nn.Conv2d(4, 6, 1), nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.one(x).relu(), self.three(x).relu()], 1)


class Dense(nn.Module):
    """DenseNet's: each layer takes all before it."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(*norm_act(8 + 4 * i, nn.ReLU), nn.Conv2d(8 + 4 * i, 4, 3, padding=1, bias=False)) for i in range(3)
        )

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class Shuffle(nn.Module):
    """ShuffleNet v2's unit of stride 1."""

    def __init__(self, half):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(half, half, 1, bias=False), *norm_act(half, nn.ReLU),
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False), nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False), *norm_act(half, nn.ReLU),
        )

    def forward(self, x):
        kept, changed = x.chunk(2, 1)
        x = torch.cat([kept, self.body(changed)], 1)
        batch, channels, height, width = x.size()
        return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous().view(batch, channels, height, width)


class Means(nn.Module):
    def forward(self, x):
        return x.mean([2, 3])


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of images NCHW."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """ConvNeXt's block: linear layers on images NHWC, a layer scale."""

    def __init__(self, channels, approximate="none"):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.wide, self.gelu, self.narrow = nn.Linear(channels, 16), nn.GELU(approximate), nn.Linear(16, channels)
        self.scale = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.narrow(self.gelu(self.wide(y))).permute(0, 3, 1, 2)
        return x + self.scale * y


class Rescaled(nn.Module):
    """Takes values from 0 to 1; a maximum beside a mean, padding that counts, groups."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.body = nn.Sequential(nn.Conv2d(3, 6, 4, 2), nn.Hardtanh(-1, 2), nn.AvgPool2d(3, 2, 1), nn.Conv2d(6, 6, 3, padding=1, groups=3), nn.Sigmoid())
        self.largest, self.fc = nn.AdaptiveMaxPool2d(1), nn.Linear(12, 5)

    def forward(self, x):
        x = self.body((x - self.mean) / self.std)
        return self.fc(torch.cat([self.largest(x).squeeze(3).squeeze(2), x.mean((2, 3))], 1))


def small():
    """Small networks by name: some tens of KB each, images of 32x32."""
    excitation = lambda *args: lambda channels: Excitation(channels, *args)
    head = lambda channels: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 5)]
    return {
        "mobilenet_v2": mobile(nn.ReLU6),
        "mobilenet_v3": mobile(nn.Hardswish, excitation(nn.ReLU, nn.Hardsigmoid, True), 5),
        "efficientnet": mobile(nn.SiLU, excitation(nn.SiLU, nn.Sigmoid, True), 5),
        "regnet": mobile(nn.ReLU, excitation(nn.ReLU, nn.Sigmoid, False)),
        "hardswish": mobile(Hardswish),
        "squeezenet": nn.Sequential(
            nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(6), Fire(12), nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Dropout(0.5), nn.Conv2d(12, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
        ),
        "densenet": nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), *norm_act(8, nn.ReLU), nn.MaxPool2d(3, 2, 1), Dense(), *norm_act(20, nn.ReLU),
            nn.Conv2d(20, 8, 1, bias=False), nn.AvgPool2d(2, 2), Dense(), nn.BatchNorm2d(20), nn.ReLU(), *head(20),
        ),
        "shufflenet": nn.Sequential(*stem(8, nn.ReLU), nn.MaxPool2d(3, 2, 1), Shuffle(4), Shuffle(4), Means(), nn.Linear(8, 5)),
        "convnext": nn.Sequential(
            nn.Conv2d(3, 6, 4, 4), ChannelNorm(6, 1e-6), ConvNeXt(6), ChannelNorm(6, 1e-6), nn.Conv2d(6, 8, 2, 2), ConvNeXt(8, "tanh"),
            nn.AdaptiveAvgPool2d(1), ChannelNorm(8, 1e-6), nn.Flatten(1), nn.Linear(8, 5),
        ),
        "rescaled": Rescaled(),
    }


def trained(network):
    """The network as if trained: no moving average where it began, no scale 1, no shift 0."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return network.eval()


def export(network, path, way, opset, images):
    """Writes the network by one of the exporters, for batches of any number."""
    options = {
        "script": dict(dynamo=False, dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}}),
        "dynamo": dict(dynamo=True, external_data=False, verbose=False, dynamic_shapes=({0: torch.export.Dim("batch")},)),
    }[way]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (images,), str(path), opset_version=opset, input_names=["input"], output_names=["logits"], **options
        )


def write(network, folder, name, ways, side, images=2):
    """Writes NAME.WAY.onnx for each of `ways`, {name: (exporter, opset)}, and NAME.safetensors: images NHWC, and ONNX Runtime's outputs."""
    folder = pathlib.Path(folder)
    x = torch.randn(images, 3, side, side)
    outputs = None
    for way, (exporter, opset) in ways.items():
        path = folder / f"{name}.{way}.onnx"
        export(network, path, exporter, opset, x)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        got = session.run(None, {"input": x.numpy()})[0]
        if outputs is None:
            outputs = got
            with torch.no_grad():
                numpy.testing.assert_allclose(network(x).numpy(), got, atol=1e-4 * numpy.abs(got).max(), rtol=0)
        numpy.testing.assert_allclose(got, outputs, atol=1e-5 * numpy.abs(outputs).max(), rtol=0)
    save_file(
        {"input": numpy.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1)), "output": outputs}, folder / f"{name}.safetensors"
    )


def without_traces(path):
    """Takes out of a file where in which sources its nodes come from."""
    model = onnx.load(path)
    graph = model.graph
    graph.ClearField("metadata_props")
    graph.ClearField("value_info")
    for item in [*graph.node, *graph.initializer, *graph.input, *graph.output]:
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
    onnx.save(model, path)
