//! BYTES -> RECORDS -> EXAMPLES: TensorFlow's TFRecord files.
//!
//! A TFRecord file is a run of records without a header of its own, each framed as (little-endian)
//!
//! ```text
//! u64  length              of the payload in bytes
//! u32  masked CRC32C       of the 8 bytes of length
//! u8   payload[length]
//! u32  masked CRC32C       of the payload
//! ```
//!
//! and the whole may be one GZIP or ZLIB stream. A data set is a list of such files, its *shards*, named
//! `train-00000-of-00002.tfrecord`.
//!
//! | Step | Items |
//! |---|---|
//! | find the files | [`find_shards`], [`ShardName`] |
//! | read them in order | [`RecordReader`], [`ReaderOptions`] |
//! | read them in any order | [`ShardIndex`], [`RecordFetcher`] |
//! | understand a payload | [`ImageExample`], [`ImageSchema`], [`list_features`], [`visit_features`] |
//! | write | [`RecordWriter`], [`ShardWriter`] |
//!
//! Each layer knows only its own: framing knows no files, readers no examples, examples no positions; errors
//! gain the position on the way up ([`RecordError`]). Records are counted from 0, and offsets are bytes in
//! the uncompressed stream.

mod compression;
pub mod crc;
mod error;
mod example;
mod example_error;
mod expand;
mod feature_kind;
mod features;
mod fetch;
mod frame;
mod index;
mod pixels;
mod reader;
mod search;
mod shard_error;
mod shard_writer;
mod shards;
mod stream;
mod tape;
mod writer;

pub use compression::Compression;
pub use error::{CrcMismatch, Lost, RecordDefect, RecordError, RecordLocation, RecordPart, RecordPosition};
pub use example::{ImageExample, ImageSchema};
pub use example_error::ExampleError;
pub use feature_kind::FeatureKind;
pub use features::{FeatureSummary, FeatureValue, FeatureView, list_features, visit_features};
pub use fetch::{DEFAULT_STASH_BYTES, RecordFetcher};
pub(crate) use frame::begins_record;
pub use index::{IndexedRecord, IndexedShard, ShardIndex};
pub use pixels::{ParsePixelFormatError, PixelFormat, Pixels, guess_pixels};
pub use reader::{DEFAULT_MAX_RECORD_BYTES, ReaderOptions, Record, RecordReader};
pub use shard_error::ShardError;
pub use shard_writer::{ShardWriter, SyncedShards};
pub use shards::{ShardName, find_shards, shard_name};
pub(crate) use shards::{remove_stale_shards, shards_in};
pub use writer::RecordWriter;

pub use crate::proto::wire::{WireDefect, WireError};
