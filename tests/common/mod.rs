//! TensorFlow's reference values (made by tests/fixtures/make_fixtures.py) and how they are compared.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part of the helpers")]

mod close;
pub mod message;
pub mod photos;
pub mod proto;
mod sets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use close::assert_close;
use ndarray::{ArrayD, IxDyn};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
pub use sets::instruction_sets;

/// The path of a fixture file.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The tensors of a fixture file, in double precision.
pub fn tensors(name: &str) -> BTreeMap<String, ArrayD<f64>> {
    tensors_of(&fixture(name))
}

/// The tensors of a file, in double precision.
pub fn tensors_of(path: &Path) -> BTreeMap<String, ArrayD<f64>> {
    let bytes = std::fs::read(path).expect("the file exists");
    let file = SafeTensors::deserialize(&bytes).expect("it is a safetensors file");
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let data = view.data();
        let values: Vec<f64> = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            Dtype::I64 => data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
            Dtype::U8 => data.iter().map(|b| f64::from(*b)).collect(),
            other => panic!("{name}: unexpected type {other:?}"),
        };
        tensors.insert(name, ArrayD::from_shape_vec(IxDyn(view.shape()), values).expect("shape fits"));
    }
    tensors
}

/// The tensors and the cases of `STEM.safetensors` and `STEM.json`.
pub struct Fixtures {
    tensors: BTreeMap<String, ArrayD<f64>>,
    pub cases: Vec<Value>,
}

impl Fixtures {
    pub fn load(stem: &str) -> Self {
        let tensors = tensors(&format!("{stem}.safetensors"));
        let cases = std::fs::read(fixture(&format!("{stem}.json"))).expect("fixture exists");
        let cases = serde_json::from_slice(&cases).expect("fixture is JSON");
        Self { tensors, cases }
    }

    /// A tensor in double precision.
    pub fn f64(&self, name: &str) -> ArrayD<f64> {
        self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}")).clone()
    }

    /// A tensor in single precision (exact: it was stored so, or holds small integers).
    pub fn f32(&self, name: &str) -> ArrayD<f32> {
        self.f64(name).mapv(|v| v as f32)
    }

    /// Labels.
    pub fn labels(&self, name: &str) -> Vec<usize> {
        self.f64(name).iter().map(|&v| v as usize).collect()
    }
}
