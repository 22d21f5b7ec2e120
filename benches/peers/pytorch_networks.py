"""The networks in PyTorch."""

from torch import nn

import harness


def build(network, size, classes, dropout=0.0):
    """`dropout` is that before the second dense layer; 0 leaves it out."""
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
