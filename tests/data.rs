//! From bytes to batches: records, photos, the input pipeline, conversion, and hostile files.

mod common;
mod convert;
mod edge_cases;
mod images;
mod layouts;
mod pipeline;
mod records;
