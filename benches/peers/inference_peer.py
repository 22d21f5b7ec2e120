"""A forward pass in ONNX Runtime or OpenVINO (pip install onnx onnxruntime openvino numpy)."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import harness

options = harness.arguments(__doc__, ["onnxruntime", "openvino"])
random = np.random.default_rng(0)
nodes, weights = [], []


def weight(*shape):
    value = random.standard_normal(shape, dtype=np.float32) * 0.05 if len(shape) > 1 else np.full(shape, 0.02, np.float32)
    weights.append(numpy_helper.from_array(value, f"w{len(weights)}"))
    return weights[-1].name


def apply(operator, *inputs, **attributes):
    output = f"v{len(nodes)}"
    nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
    return output


groups, hidden = harness.blocks(options.network)
value, channels = "images", 3
for kernel, filters in groups:
    for count in filters:
        pads = [kernel // 2] * 4
        parameters = weight(count, channels, kernel, kernel), weight(count)
        value = apply("Relu", apply("Conv", value, *parameters, kernel_shape=[kernel, kernel], pads=pads))
        channels = count
    value = apply("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
value = apply("Flatten", value if hidden else apply("GlobalAveragePool", value))
inputs = harness.features(options.network, options.size)
for units in hidden or []:
    value = apply("Relu", apply("Gemm", value, weight(inputs, units), weight(units)))
    inputs = units
value = apply("Gemm", value, weight(inputs, harness.CLASSES), weight(harness.CLASSES))

shape = [options.batch, 3, options.size, options.size]
graph = helper.make_graph(
    nodes,
    options.network,
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info(value, TensorProto.FLOAT, [options.batch, harness.CLASSES])],
    weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
images = random.standard_normal(shape, dtype=np.float32)

if options.mode == "onnxruntime":
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    version, forward = onnxruntime.__version__, lambda: session.run(None, {"images": images})
else:
    import openvino

    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": options.threads})
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model=model), "CPU", hints)
    version, forward = openvino.__version__.split("-")[0], lambda: compiled(images)

harness.report(f"{options.mode} {version}", options, forward=forward)
