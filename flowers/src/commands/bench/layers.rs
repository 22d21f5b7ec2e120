//! The table of `bench --layers`.

use std::time::Duration;

use floret::math::peak_multiply_adds;
use floret::network::Network;
use floret::nn::LayerTime;
use ndarray::Array4;

use crate::Result;
use crate::ui::say;

/// Prints the time of each layer in each pass, of `passes`, and its share of the peak.
pub fn show(network: &mut Network, images: &Array4<f32>, passes: usize) -> Result<()> {
    let peak = peak_multiply_adds(network.isa());
    let batch = images.dim().0 as u64;
    let times = network.layer_times(images, passes)?;
    let name = times.iter().map(|time| time.layer.len()).max().unwrap_or(0).max("layer".len());
    say!(
        "{:name$}  {:>12}  {:>16}  {:>16}  {:>16}",
        "layer",
        "MMAC/photo",
        "inference",
        "forward",
        "backward"
    );
    for time in &times {
        say!("{}", line(time, name, batch, peak));
    }
    let sum = |of: fn(&LayerTime) -> Duration| milliseconds(times.iter().map(of).sum());
    let multiply_adds: u64 = times.iter().map(|time| time.multiply_adds).sum();
    say!(
        "{:name$}  {:>12.2}  {:>9} ms {:4}  {:>9} ms {:4}  {:>9} ms",
        "total",
        multiply_adds as f64 / 1e6,
        sum(|time| time.inference),
        "",
        sum(|time| time.forward),
        "",
        sum(|time| time.backward)
    );
    say!(
        "Shares are of {:.0} G multiply-adds a second, which {} threads do with {} in registers. They count direct convolution, of \
         which Winograd's needs a part: over 100 % is possible. Backward counts twice the forward pass's. A layer without a time \
         is computed with one before it.",
        peak / 1e9,
        rayon::current_num_threads(),
        network.isa().name()
    );
    Ok(())
}

fn line(time: &LayerTime, name: usize, batch: u64, peak: f64) -> String {
    let work = (batch * time.multiply_adds) as f64;
    let inferred = (batch * time.inference_multiply_adds) as f64;
    let pass = |took: Duration, work: f64| {
        let share = match work > 0.0 {
            true => format!("{:.0} %", 100.0 * work / took.as_secs_f64() / peak),
            false => String::new(),
        };
        match took.is_zero() {
            true => format!("{:>17}", ""),
            false => format!("{:>9} ms {share:>4}", milliseconds(took)),
        }
    };
    let multiply_adds = match time.multiply_adds {
        0 => String::new(),
        n => format!("{:.2}", n as f64 / 1e6),
    };
    format!(
        "{:name$}  {multiply_adds:>12}  {}  {}  {}",
        time.layer,
        pass(time.inference, inferred),
        pass(time.forward, work),
        pass(time.backward, 2.0 * work)
    )
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}
