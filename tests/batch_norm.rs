//! Batch norm with an activation behind it, which one pass computes, against the two layers apart.

use floret::nn::{
    BatchNorm, Clip, Concat, Gelu, HardSigmoid, HardSwish, Input, LayerScale, LayerSpec, LeakyRelu,
    NamedLayer, Relu, Sequential, Shape, Sigmoid, Silu,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::instruction_sets;

const CHANNELS: usize = 300;

fn activations() -> Vec<LayerSpec> {
    vec![
        Relu.into(),
        LeakyRelu::new(0.2).into(),
        Clip::new(-0.5, 1.5).into(),
        Sigmoid.into(),
        HardSigmoid.into(),
        Silu.into(),
        HardSwish.into(),
        Gelu::new().into(),
        Gelu::new().approximate().into(),
    ]
}

/// The two layers. Apart, the output of the norm is taken a second time, into channels behind the others.
fn layers(activation: &LayerSpec, frozen: bool, apart: bool) -> Vec<NamedLayer> {
    let mut layers = vec![
        // What trains before, so that a gradient comes through a frozen norm too.
        NamedLayer::new("before", LayerScale::new(1.0)),
        NamedLayer::new("norm", BatchNorm::new()).frozen(frozen),
        NamedLayer::new("activation", activation.clone()),
    ];
    if apart {
        layers.push(NamedLayer::new("both", Concat).from(["activation", "norm"]));
    }
    layers
}

/// More channels than one strip has, more rows than one task has, and neither a multiple of anything.
#[test]
fn one_pass_gives_the_bits_of_two_layers() {
    let input = Shape::from((23, 9, CHANNELS));
    let (batch, seed) = (3, 5);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw =
        |len: usize, low: f32| -> Vec<f32> { (0..len).map(|_| rng.random_range(low..2.0)).collect() };
    let (x, dy) = (draw(batch * input.len(), -2.0), draw(batch * input.len(), -2.0));
    let arrays = ["gamma", "beta", "moving_mean", "moving_variance"].map(|name| {
        (format!("norm/{name}"), draw(CHANNELS, if name.ends_with("variance") { 0.1 } else { -2.0 }))
    });
    // The channels of the norm's own output are not looked at, and nothing comes back through them.
    let only_first = |y: &[f32]| -> Vec<f32> {
        y.chunks(2 * CHANNELS).flat_map(|pixel| &pixel[..CHANNELS]).copied().collect()
    };
    let padded: Vec<f32> = dy.chunks(CHANNELS).flat_map(|pixel| [pixel, &[0.0; CHANNELS]].concat()).collect();
    for (isa, frozen) in instruction_sets().into_iter().flat_map(|isa| [(isa, false), (isa, true)]) {
        for activation in activations() {
            let kind = activation.kind();
            let build = |apart: bool| {
                let mut net =
                    Sequential::with_isa(input, &layers(&activation, frozen, apart), seed, isa).unwrap();
                for (name, values) in &arrays {
                    net.set_array(name, values).unwrap();
                }
                net
            };
            let (mut fused, mut apart) = (build(false), build(true));
            assert_eq!(only_first(apart.forward(&x, 1)), fused.forward(&x, 1), "{isa:?} {kind} {frozen}");
            // With frozen layers there is no gradient of the network's own input.
            let gradients = |net: &mut Sequential, dy: &[f32]| -> (Vec<f32>, Vec<Vec<f32>>) {
                let mut dx = x.clone();
                let input = if frozen { Input::Given(&x) } else { Input::Activation(&mut dx) };
                net.backward(input, dy).unwrap();
                (dx, net.gradients().map(|(_, values)| values.iter().copied().collect()).collect())
            };
            let (one, two) = (gradients(&mut fused, &dy), gradients(&mut apart, &padded));
            assert!(one == two, "{isa:?} {kind} {frozen}: gradients");
            let mut inferred = [vec![0.0; dy.len()], vec![0.0; padded.len()]];
            fused.infer(&x, &mut inferred[0]);
            apart.infer(&x, &mut inferred[1]);
            assert_eq!(inferred[0], only_first(&inferred[1]), "{isa:?} {kind} {frozen}: inference");
        }
    }
}
