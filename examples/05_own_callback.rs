//! A callback of one's own: shows each epoch, and stops once the training loss is low enough.

use floret::data::{Loader, LoaderOptions, Preprocess};
use floret::image::encode_png;
use floret::network::Network;
use floret::nn::{Dense, Flatten, Init};
use floret::optim::Sgd;
use floret::record::{Compression, ImageExample, ImageSchema, ShardWriter};
use floret::train::{Callback, Ended, EpochRecord, Flow, Moment, TrainError, TrainOptions, Trainer};
use ndarray::Array3;

struct StopWhenLow {
    loss: f64,
}

impl Callback for StopWhenLow {
    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        println!(
            "epoch {} after {} steps: loss {:.3}",
            record.epoch,
            moment.network.steps(),
            record.train_loss
        );
        Ok(if record.train_loss < self.loss { Flow::Stop } else { Flow::Continue })
    }
}

/// Writes one shard of 24 photos: dark in their upper half (class 1 in the file) or in their lower half (class 2).
fn write_photos(folder: &std::path::Path) -> floret::Result<Vec<std::path::PathBuf>> {
    let mut shards = ShardWriter::create(folder, "train", 1, Compression::Plain)?;
    for photo in 0..24 {
        let label = photo % 2 + 1;
        let pixels = Array3::from_shape_fn((16, 16, 3), |(y, x, _)| {
            let dark = (y < 8) == (label == 1);
            (if dark { 40 } else { 200 }) + ((x * 5 + photo * 3) % 20) as u8
        });
        let encoded = encode_png(pixels.view())?;
        let example = ImageExample { encoded, label: label as i64, ..ImageExample::default() };
        shards.write(&example.encode(&ImageSchema::default()))?;
    }
    Ok(shards.finish()?)
}

pub fn main() -> floret::Result<()> {
    let folder = std::env::temp_dir().join(format!("floret-own-callback-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let options = LoaderOptions { batch_size: 8, ..LoaderOptions::new(Preprocess::new(16), 2) };
    let photos = Loader::open(&write_photos(&folder)?, options)?;

    let head = Dense::new(2).kernel_init(Init::GlorotUniform);
    let mut network = Network::builder((16, 16, 3)).add(Flatten).add(head).build()?;
    let mut optimizer = Sgd::new(0.001);
    let mut trainer = Trainer::new(TrainOptions::new(20, 0.001));
    let mut stop = StopWhenLow { loss: 0.1 };
    let ended = trainer.run(&mut network, &mut optimizer, &photos, None, &mut [&mut stop])?;
    assert_eq!(ended, Ended::Stopped);
    std::fs::remove_dir_all(&folder).expect("the folder is this program's");
    Ok(())
}
