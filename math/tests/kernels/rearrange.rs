//! Channels are copied to where they belong, over several tasks.

use floret_math::rearrange::{put, shuffle, take};

const CHANNELS: usize = 6;
const ROWS: usize = 10_000;

/// Each value tells its place.
fn numbered() -> Vec<f32> {
    (0..ROWS * CHANNELS).map(|i| i as f32).collect()
}

#[test]
fn channels_are_taken_and_put_back() {
    let x = numbered();
    let mut part = vec![f32::NAN; ROWS * 2];
    take(&x, CHANNELS, 3..5, &mut part);
    for (row, part) in part.chunks_exact(2).enumerate() {
        assert_eq!(part, [(row * CHANNELS + 3) as f32, (row * CHANNELS + 4) as f32]);
    }
    let mut back = vec![-1.0; x.len()];
    put(&part, &mut back, CHANNELS, 3..5);
    for (i, (back, x)) in back.iter().zip(&x).enumerate() {
        assert_eq!(*back, if (3..5).contains(&(i % CHANNELS)) { *x } else { -1.0 });
    }
}

#[test]
fn a_shuffle_takes_one_channel_of_each_group() {
    let x = numbered();
    let (mut y, mut back) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
    shuffle(&x, CHANNELS, 2, &mut y);
    for (row, y) in y.chunks_exact(CHANNELS).enumerate() {
        assert_eq!(y, [0, 3, 1, 4, 2, 5].map(|channel| (row * CHANNELS + channel) as f32));
    }
    shuffle(&y, CHANNELS, 3, &mut back);
    assert_eq!(back, x);
}
