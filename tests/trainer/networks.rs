//! Networks that training needs: of any input size, and answering with mirror images.

use floret::network::Network;
use floret::nn::{Dense, Flatten};
use ndarray::s;

use super::{SIZE, arrays, images, network, sgd};

#[test]
fn a_network_set_to_another_size_is_that_of_the_size_with_its_weights() {
    let mut changed = network(SIZE).build().unwrap();
    changed.train_step(images(4, SIZE).view(), &[0, 1, 2, 0], &mut sgd()).unwrap();
    for size in [10, 24, SIZE] {
        changed.set_input((size, size, 3)).unwrap();
        let mut built = network(size).build().unwrap();
        for (param, values) in changed.arrays() {
            built.set_array(&param.name, values).unwrap();
        }
        assert_eq!(changed.spec(), built.spec());
        assert_eq!(changed.forward(&images(2, size)).unwrap(), built.forward(&images(2, size)).unwrap());
        // It trains on: the forms that inference had prepared are not those of the new size.
        let [a, b] = [&mut changed.clone(), &mut built].map(|network| {
            network.train_step(images(3, size).view(), &[2, 1, 0], &mut sgd()).unwrap();
            (arrays(network), network.forward(&images(1, size)).unwrap())
        });
        assert_eq!(a, b);
    }
}

#[test]
fn a_network_whose_weights_depend_on_the_size_keeps_it() {
    let flat = Network::builder((SIZE, SIZE, 3)).add(Flatten).add_named("fc", Dense::new(2));
    let mut network = flat.build().unwrap();
    let error = network.set_input((8, 8, 3)).unwrap_err().to_string();
    assert!(
        error.contains("`fc/kernel` is [768, 2] for images of 16x16x3 and would be [192, 2] for 8x8x3"),
        "{error}"
    );
    assert!(error.contains("GlobalAvgPool"), "{error}");
    assert_eq!(network.input(), (SIZE, SIZE, 3).into());
    network.forward(&images(1, SIZE)).unwrap();
}

#[test]
fn test_time_flips_average_an_image_with_its_mirror_image() {
    let plain = network(SIZE).build().unwrap();
    let flipping = network(SIZE).test_time_flip(true).build().unwrap();
    for count in [1, 7] {
        let x = images(count, SIZE);
        let mirrored = x.slice(s![.., .., ..;-1, ..]).to_owned();
        let wanted = (plain.forward(&x).unwrap() + plain.forward(&mirrored).unwrap()) / 2.0;
        let got = flipping.forward(&x).unwrap();
        assert!((&got - &wanted).iter().all(|d| d.abs() < 1e-6), "{got} {wanted}");
        assert!((&got - &plain.forward(&x).unwrap()).iter().any(|d| d.abs() > 1e-3));
    }
    // Training knows nothing of it.
    let (mut a, mut b) = (plain.clone(), flipping.clone());
    for network in [&mut a, &mut b] {
        network.train_step(images(4, SIZE).view(), &[0, 1, 2, 0], &mut sgd()).unwrap();
    }
    assert_eq!(arrays(&a), arrays(&b));
    assert_eq!(arrays(&b), arrays(&b.clone()));
}
