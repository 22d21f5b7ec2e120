//! Test-time flips, as nodes: the network sees each image and its mirror image, and its outputs are their means.

use super::LOGITS;
use super::graph::Graph;

/// The prefix of the nodes' names.
const NAME: &str = "test_time_flip";

/// Images NCHW, and behind them their mirror images.
pub fn with_mirror_images(graph: &mut Graph, images: &str) -> String {
    let name = |part: &str| format!("{NAME}/{part}");
    // From the last column to before the first, backwards.
    let bounds = [("starts", -1), ("ends", i64::MIN), ("axes", 3), ("steps", -1)];
    let [starts, ends, axes, steps] = bounds.map(|(part, value)| graph.ints(&name(part), &[value]));
    let mirrored =
        graph.append("Slice", &name("mirrored"), &[images, &starts, &ends, &axes, &steps]).output();
    graph.append("Concat", &name("both"), &[images, &mirrored]).int("axis", 0).output()
}

/// The logits: means of the `outputs` of images and those of their mirror images behind them.
pub fn means(graph: &mut Graph, outputs: &str, len: usize) {
    let name = |part: &str| format!("{NAME}/{part}");
    let shape = graph.ints(&name("shape"), &[2, -1, len as i64]);
    let apart = graph.append("Reshape", &name("apart"), &[outputs, &shape]).output();
    graph.node("ReduceMean", &name("mean"), &[&apart], LOGITS).ints("axes", [0]).int("keepdims", 0);
}
