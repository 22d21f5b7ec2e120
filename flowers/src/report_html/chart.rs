//! A line chart over epochs, drawn as SVG.

use maud::{Markup, html};

/// One line.
pub struct Series {
    pub name: &'static str,
    /// Its class in the style sheet, which colors it.
    pub style: &'static str,
    /// By epoch, from 1. Where a value is not finite the line is broken.
    pub points: Vec<(u64, f64)>,
}

pub struct Chart {
    pub title: &'static str,
    pub series: Vec<Series>,
    /// The epoch that is marked.
    pub best: Option<u64>,
    pub axis: Axis,
}

/// What the vertical axis shows.
#[derive(Clone, Copy, PartialEq)]
pub enum Axis {
    /// From 0.
    Amount,
    /// A share within 0 to 1, as percents.
    Share,
}

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 38.0;

/// The most points of a line: the screen has no more.
const MOST_POINTS: usize = 600;
/// The most points that are dots too.
const MOST_DOTS: usize = 60;

impl Chart {
    pub fn render(&self) -> Markup {
        let Some(scale) = Scale::of(self) else {
            return html! { figure { figcaption { (self.title) } p.missing { "No epoch has such a number." } } };
        };
        html! {
            figure {
                figcaption {
                    (self.title)
                    @if self.series.len() > 1 {
                        span.legend { @for series in &self.series { span.key.(series.style) { (series.name) } } }
                    }
                }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.title) {
                    (scale.grid())
                    @if let Some(best) = self.best { (scale.mark(best)) }
                    @for series in &self.series { (scale.line(series, self.best)) }
                }
            }
        }
    }
}

/// From values to places in the picture.
struct Scale {
    epochs: (u64, u64),
    values: Ticks,
    axis: Axis,
}

impl Scale {
    /// `None` if there is nothing finite to show.
    fn of(chart: &Chart) -> Option<Self> {
        let points =
            || chart.series.iter().flat_map(|series| &series.points).filter(|(_, value)| value.is_finite());
        let (first, last) = (points().map(|(x, _)| *x).min()?, points().map(|(x, _)| *x).max()?);
        let least = points().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
        let greatest = points().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
        let values = match chart.axis {
            Axis::Amount => Ticks::covering(least.min(0.0), greatest),
            Axis::Share => Ticks::covering(least, greatest),
        };
        Some(Self { epochs: (first, last), values, axis: chart.axis })
    }

    fn x(&self, epoch: u64) -> f64 {
        let (first, last) = self.epochs;
        let share = if last > first { (epoch - first) as f64 / (last - first) as f64 } else { 0.5 };
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let Ticks { first, last, .. } = self.values;
        HEIGHT - BOTTOM - (value - first) / (last - first) * (HEIGHT - TOP - BOTTOM)
    }

    fn label(&self, value: f64) -> String {
        match self.axis {
            Axis::Share => format!("{:.1$} %", 100.0 * value, Ticks::decimals(100.0 * self.values.step)),
            Axis::Amount if self.values.last < 1e-3 && value != 0.0 => format!("{value:.0e}"),
            Axis::Amount => format!("{value:.0$}", Ticks::decimals(self.values.step)),
        }
    }

    /// Lines and numbers of both axes.
    fn grid(&self) -> Markup {
        let bottom = HEIGHT - BOTTOM;
        html! {
            g.grid {
                @for value in self.values.values() {
                    @let y = place(self.y(value));
                    line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
                    text x=(LEFT - 8.0) y=(y) dy="4" text-anchor="end" { (self.label(value)) }
                }
                @for epoch in epoch_ticks(self.epochs) {
                    @let x = place(self.x(epoch));
                    line.tick x1=(x) x2=(x) y1=(bottom) y2=(bottom + 5.0) {}
                    text x=(x) y=(bottom + 18.0) text-anchor="middle" { (epoch) }
                }
                text x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 4.0) text-anchor="middle" { "epoch" }
            }
        }
    }

    /// The best epoch.
    fn mark(&self, epoch: u64) -> Markup {
        if !(self.epochs.0..=self.epochs.1).contains(&epoch) {
            return html! {};
        }
        let x = self.x(epoch);
        let is_right = x > (LEFT + WIDTH) / 2.0;
        let (anchor, beside) = if is_right { ("end", x + 4.0) } else { ("start", x - 4.0) };
        html! {
            g.best {
                line x1=(place(x)) x2=(place(x)) y1=(TOP - 4.0) y2=(HEIGHT - BOTTOM) {}
                text x=(place(beside)) y=(TOP - 9.0) text-anchor=(anchor) { "best: epoch " (epoch) }
            }
        }
    }

    fn line(&self, series: &Series, best: Option<u64>) -> Markup {
        let points = thinned(&series.points);
        let paths = points.split(|(_, value)| !value.is_finite()).filter(|path| path.len() > 1);
        let is_dot = |epoch: u64| points.len() <= MOST_DOTS || best == Some(epoch);
        let dots = points.iter().filter(|(epoch, value)| value.is_finite() && is_dot(*epoch));
        html! {
            g.line.(series.style) {
                @for path in paths {
                    polyline points=(path.iter().map(|(x, y)| format!("{},{} ", place(self.x(*x)), place(self.y(*y)))).collect::<String>()) {}
                }
                @for (epoch, value) in dots {
                    circle cx=(place(self.x(*epoch))) cy=(place(self.y(*value))) r=(if best == Some(*epoch) { 4.5 } else { 2.5 }) {
                        title { "epoch " (epoch) ", " (series.name) ": " (exact(*value, self.axis)) }
                    }
                }
            }
        }
    }
}

/// Some of many points, the last among them.
fn thinned(points: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last).map(|(_, point)| *point).collect()
}

/// A coordinate: a tenth of a unit can't be seen.
fn place(coordinate: f64) -> String {
    format!("{coordinate:.1}")
}

fn exact(value: f64, axis: Axis) -> String {
    match axis {
        Axis::Share => format!("{:.2} %", 100.0 * value),
        Axis::Amount if value != 0.0 && value.abs() < 1e-3 => format!("{value:.3e}"),
        Axis::Amount => format!("{value:.4}"),
    }
}

/// Whole epochs at an even distance, at most eight.
fn epoch_ticks((first, last): (u64, u64)) -> Vec<u64> {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10u64.saturating_pow(power)));
    let step = steps
        .take_while(|step| *step < u64::MAX / 10)
        .find(|step| (last - first) / step < 8)
        .unwrap_or(u64::MAX);
    let multiples = (first.div_ceil(step)..=last / step).map(|number| number * step);
    // One epoch is no multiple of anything; the first one is known to readers as 1.
    let beyond = multiples.filter(|epoch| *epoch != first && (epoch - first).saturating_mul(2) >= step);
    [first].into_iter().chain(beyond).collect()
}

/// Round numbers at an even distance.
#[derive(Debug, PartialEq)]
struct Ticks {
    first: f64,
    last: f64,
    step: f64,
}

impl Ticks {
    /// About five, the first at most `least` and the last at least `greatest`.
    fn covering(least: f64, greatest: f64) -> Self {
        // Where all are equal, or so large that their distance is no number, around what there is.
        let range = match greatest - least {
            range if range.is_finite() && range > 1e-9 * greatest.abs().max(least.abs()) => range,
            _ => greatest.abs().max(least.abs()).clamp(1e-6, f64::MAX / 1e3),
        };
        let power = 10f64.powf((range / 5.0).log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| range / step <= 5.0);
        let step = step.unwrap_or(10.0 * power);
        let (first, last) = ((least / step).floor() * step, (greatest / step).ceil() * step);
        Self { first, last: if last > first { last } else { first + step }, step }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let count = ((self.last - self.first) / self.step).round().min(20.0) as usize;
        (0..=count).map(|number| self.first + number as f64 * self.step)
    }

    /// So many digits behind the point tell them apart.
    fn decimals(step: f64) -> usize {
        (-(step * 1.000_001).log10().floor()).clamp(0.0, 9.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover() {
        let ticks = |least, greatest| Ticks::covering(least, greatest).values().collect::<Vec<_>>();
        assert_eq!(ticks(0.0, 1.42), [0.0, 0.5, 1.0, 1.5]);
        assert_eq!(ticks(0.0, 5.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(ticks(0.0, 0.0), [0.0, 2e-7]);
        assert_eq!(Ticks::decimals(0.05), 2);
        assert_eq!((Ticks::decimals(1.0), Ticks::decimals(20.0), Ticks::decimals(0.2)), (0, 0, 1));
        let numbers = [-1e300, -3.0, -1e-12, 0.0, 1e-300, 1e-7, 0.98, 0.981, 1.0, 7.3, 1e5, 1e300, f64::MAX];
        for (i, least) in numbers.into_iter().enumerate() {
            for greatest in numbers.into_iter().skip(i) {
                let ticks = Ticks::covering(least, greatest);
                let count = ticks.values().count();
                assert!((2..=21).contains(&count), "{least} {greatest}: {ticks:?}");
                assert!(ticks.first <= least && ticks.last > ticks.first, "{least} {greatest}: {ticks:?}");
            }
        }
    }

    #[test]
    fn epochs_are_whole() {
        assert_eq!(epoch_ticks((1, 1)), [1]);
        assert_eq!(epoch_ticks((1, 4)), [1, 2, 3, 4]);
        assert_eq!(epoch_ticks((1, 20)), [1, 5, 10, 15, 20]);
        assert_eq!(epoch_ticks((1, 12)), [1, 2, 4, 6, 8, 10, 12]);
        assert_eq!(epoch_ticks((7, 9)), [7, 8, 9]);
        for last in [2, 9, 33, 100, 4567, 1 << 53] {
            assert!((2..=9).contains(&epoch_ticks((1, last)).len()), "{last}: {:?}", epoch_ticks((1, last)));
        }
    }

    fn chart(values: &[f64], axis: Axis) -> String {
        let points = (1..).zip(values.iter().copied()).collect();
        let series = vec![Series { name: "train", style: "train", points }];
        Chart { title: "loss", series, best: Some(2), axis }.render().into_string()
    }

    #[test]
    fn lines_break_where_there_is_no_number() {
        let drawn = chart(&[2.0, 1.0, f64::NAN, 0.5, 0.25], Axis::Amount);
        assert_eq!((drawn.matches("<polyline").count(), drawn.matches("<circle").count()), (2, 4));
        assert!(drawn.contains("best: epoch 2") && !drawn.contains("NaN"), "{drawn}");
        assert!(chart(&[f64::NAN], Axis::Amount).contains("No epoch has such a number"));
        assert!(chart(&[], Axis::Share).contains("No epoch has such a number"));
        let one = chart(&[0.5], Axis::Share);
        assert_eq!((one.matches("<polyline").count(), one.matches("<circle").count()), (0, 1));
        assert!(!one.contains("NaN") && !one.contains("inf"), "{one}");
    }

    #[test]
    fn many_epochs_take_no_more_room_than_some() {
        let values: Vec<f64> = (0..100_000).map(f64::from).collect();
        let drawn = chart(&values, Axis::Amount);
        assert!(drawn.len() < 20_000, "{}", drawn.len());
    }
}
