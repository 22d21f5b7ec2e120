//! Fixtures and comparisons.
use std::path::Path;

use ndarray::Array3;
use proptest::test_runner::{Config, RngSeed};
use safetensors::{Dtype, SafeTensors};

/// A file of tensors under tests/fixtures, read whole.
pub struct Fixtures(Vec<u8>);

impl Fixtures {
    /// images.safetensors, by make_fixtures.py.
    pub fn images() -> Fixtures {
        Fixtures::open("images.safetensors")
    }

    /// image_formats.safetensors, by make_image_fixtures.py.
    pub fn formats() -> Fixtures {
        Fixtures::open("image_formats.safetensors")
    }

    /// more_image_formats.safetensors, by make_more_image_fixtures.py.
    pub fn more_formats() -> Fixtures {
        Fixtures::open("more_image_formats.safetensors")
    }

    fn open(name: &str) -> Fixtures {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        Fixtures(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }

    /// Every name, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tensors().names().into_iter().map(String::from).collect();
        names.sort();
        names
    }

    /// What lies between `prefix` and `suffix` in the names that have both.
    pub fn between(&self, prefix: &str, suffix: &str) -> Vec<String> {
        let inner = |name: &String| Some(name.strip_prefix(prefix)?.strip_suffix(suffix)?.to_string());
        let found: Vec<String> = self.names().iter().filter_map(inner).collect();
        assert!(!found.is_empty(), "no tensor is named {prefix}...{suffix}");
        found
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tensor.dtype(), Dtype::U8, "{name}");
        tensor.data().to_vec()
    }

    pub fn image(&self, name: &str) -> Array3<u8> {
        Array3::from_shape_vec(self.shape(name), self.bytes(name)).unwrap()
    }

    pub fn floats(&self, name: &str) -> Array3<f32> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        Array3::from_shape_vec(self.shape(name), values.collect()).unwrap()
    }

    fn shape(&self, name: &str) -> (usize, usize, usize) {
        match self.tensors().tensor(name).unwrap().shape() {
            &[height, width, channels] => (height, width, channels),
            shape => panic!("{name} has shape {shape:?}"),
        }
    }
}

/// Mean and greatest absolute difference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Difference {
    pub mean: f64,
    pub max: f64,
}

/// Difference of two images of the same shape.
pub fn difference<A, B>(a: &Array3<A>, b: &Array3<B>) -> Difference
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    assert_eq!(a.dim(), b.dim());
    let differences = a.iter().zip(b).map(|(&a, &b)| (a.into() - b.into()).abs());
    let (sum, max) = differences.fold((0.0, 0.0), |(sum, max), d| (sum + d, f64::max(max, d)));
    Difference { mean: sum / a.len() as f64, max }
}

/// A picture with gradients, edges and texture, the same for the same size.
pub fn picture(height: usize, width: usize) -> Array3<u8> {
    Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
        let (v, u) = (y as f64 / height as f64, x as f64 / width as f64);
        let disc = if (u - 0.4).hypot(v - 0.5) < 0.25 { 70.0 } else { 0.0 };
        let waves = 30.0 * (9.0 * u + 2.0 * c as f64).sin() * (7.0 * v).cos();
        (90.0 + 60.0 * u * (c as f64 - 1.0) + disc + waves).clamp(0.0, 255.0) as u8
    })
}

/// Bytes from a fixed sequence (xorshift), for images of noise.
pub fn noise(height: usize, width: usize, seed: u64) -> Array3<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    Array3::from_shape_fn((height, width, 3), |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as u8
    })
}

/// A PNG chunk, with its length and checksum.
pub fn png_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&name[..], data].concat();
    let mut checksum = flate2::Crc::new();
    checksum.update(&named);
    [&(data.len() as u32).to_be_bytes(), named.as_slice(), &checksum.sum().to_be_bytes()].concat()
}

/// Property tests of so many cases, the same ones each time.
pub fn seeded(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() }
}
