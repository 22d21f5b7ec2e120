"""A training step and a forward pass in PyTorch (pip install torch numpy)."""

import torch
from torch import nn

import harness
import pytorch_networks

MODES = ["eager", "channels_last", "compile", "compile_channels_last"]
options = harness.arguments(__doc__, MODES)
torch.set_num_threads(options.threads)
torch.manual_seed(0)

network = pytorch_networks.build(options.network, options.size, harness.CLASSES)

images = torch.randn(options.batch, 3, options.size, options.size)
labels = torch.arange(options.batch) % harness.CLASSES
if "channels_last" in options.mode:
    network = network.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(network.parameters(), lr=harness.LEARNING_RATE)
run = torch.compile(network) if "compile" in options.mode else network


def train():
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(run(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def forward():
    return run(images)


harness.report(f"pytorch {torch.__version__.split('+')[0]} {options.mode}", options, train, forward)
