"""The networks in PyTorch."""

from torch import nn

import harness


class Residual(nn.Module):
    """`x + body(x)`."""

    def __init__(self, *body):
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x):
        return x + self.body(x)


def residual(widths, classes):
    """floret's `models::residual`."""
    layers, channels = [], 3
    for stage, width in enumerate(widths):
        kernel = 3 if stage else 5
        layers += [nn.Conv2d(channels, width, kernel, padding="same"), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.BatchNorm2d(width)]
        if stage:
            convs = [[nn.Conv2d(width, width, 3, padding="same"), nn.ReLU(), nn.BatchNorm2d(width)] for _ in range(2)]
            layers.append(Residual(*convs[0], *convs[1]))
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def build(network, size, classes, dropout=0.0):
    """`dropout` is that before the second dense layer of the reference network; 0 leaves it out."""
    if network == "small":
        return residual((32, 64, 128, 256), classes)
    groups, hidden = harness.blocks(network)
    layers, channels = [], 3
    for kernel, filters in groups:
        for count in filters:
            layers += [nn.Conv2d(channels, count, kernel, padding="same"), nn.ReLU()]
            channels = count
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    layers += [nn.Flatten()] if hidden else [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    inputs = harness.features(network, size)
    for place, units in enumerate(hidden or []):
        layers += [nn.Linear(inputs, units), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if place == 0 and dropout else []
        inputs = units
    layers.append(nn.Linear(inputs, classes))
    return nn.Sequential(*layers)
