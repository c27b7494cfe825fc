//! Axes: their ranges, ticks and labels.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::output::thousands;

/// An axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// The values that have a label.
    pub(super) ticks: Vec<f64>,
    step: f64,
    unit: AxisUnit,
}

/// The unit of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum AxisUnit {
    /// Whole numbers: rounds, episodes, updates.
    Count,
    /// A fraction of 1, labelled in percent.
    Share,
    /// Any other number.
    Number,
}

impl Axis {
    /// An axis from the minimum to the maximum of the values, with at most `max_ticks` ticks.
    pub(super) fn tight(unit: AxisUnit, values: impl Iterator<Item = f64>, max_ticks: usize) -> Self {
        let (low, high) = range(values);
        let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
        Self::with_ticks(unit, low, high, max_ticks, false)
    }

    /// An axis whose ends are round numbers and that includes 0.
    pub(super) fn round(unit: AxisUnit, values: impl Iterator<Item = f64>, max_ticks: usize) -> Self {
        let (low, high) = range(values);
        let (low, high) = (low.min(0.0), high.max(0.0));
        let high = if low == high { 1.0 } else { high };
        Self::with_ticks(unit, low, high, max_ticks, true)
    }

    /// An axis without ticks.
    pub(super) fn without_ticks(low: f64, high: f64) -> Self {
        Self { low, high, ticks: Vec::new(), step: high - low, unit: AxisUnit::Number }
    }

    fn with_ticks(unit: AxisUnit, low: f64, high: f64, max_ticks: usize, is_widened: bool) -> Self {
        let step = step((high - low) / max_ticks as f64, unit == AxisUnit::Count);
        let (first, last) = if is_widened {
            // Shares that sum to 1 up to rounding do not widen the axis.
            let first = (low / step + 1e-9).floor() as i64;
            (first, ((high / step - 1e-9).ceil() as i64).max(first + 1))
        } else {
            ((low / step).ceil() as i64, (high / step).floor() as i64)
        };
        let ticks: Vec<f64> = (first..=last).take(2 * max_ticks + 2).map(|n| n as f64 * step).collect();
        let ends = |end: f64, tick: Option<&f64>| if is_widened { tick.copied().unwrap_or(end) } else { end };
        Self { low: ends(low, ticks.first()), high: ends(high, ticks.last()), ticks, step, unit }
    }

    /// The label of a tick.
    pub(super) fn label(&self, value: f64) -> String {
        let value = if value.abs() < self.step / 1e6 { 0.0 } else { value };
        match self.unit {
            AxisUnit::Count => thousands(value.max(0.0) as u64),
            AxisUnit::Share => format!("{} %", plain(100.0 * value, 100.0 * self.step)),
            AxisUnit::Number => plain(value, self.step),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        // The clamp keeps values far outside within the range of a pixel coordinate.
        let fraction = ((value - self.low) / (self.high - self.low)).clamp(-1.0, 2.0);
        (f64::from(from) + fraction * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

/// A number with as many digits as tell ticks apart.
fn plain(value: f64, step: f64) -> String {
    if value.abs() >= 1e9 || step < 1e-5 {
        return format!("{value:.2e}");
    }
    if value >= 1e4 && step >= 1.0 {
        return thousands(value.round() as u64);
    }
    let digits = (0..6).find(|&digits| {
        let scaled = step * 10_f64.powi(digits);
        (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0)
    });
    format!("{value:.*}", digits.unwrap_or(6) as usize)
}

/// The smallest round number from `min` on, whole if `is_whole`.
fn step(min: f64, is_whole: bool) -> f64 {
    let power = 10_f64.powf(min.max(f64::MIN_POSITIVE).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0].into_iter().map(|times| times * power).find(|step| *step >= min);
    let step = step.unwrap_or(10.0 * power);
    if is_whole { step.ceil().max(1.0) } else { step }
}

/// The minimum and the maximum of the numbers that can be drawn; 0 and 1 if there are none.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let drawable = values.filter(|value| value.abs() < 1e100);
    let (low, high) =
        drawable.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn axis_ticks_are_round_and_cover_the_values() {
        let axis = Axis::round(AxisUnit::Number, [0.04, 0.93].into_iter(), 5);
        assert_eq!(labels(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::round(AxisUnit::Share, [0.31, 0.0].into_iter(), 4);
        assert_eq!(labels(&axis), ["0 %", "10 %", "20 %", "30 %", "40 %"]);
        let axis = Axis::round(AxisUnit::Number, [-3.1, 1.7].into_iter(), 5);
        assert_eq!(labels(&axis), ["-4", "-3", "-2", "-1", "0", "1", "2"]);
        let axis = Axis::round(AxisUnit::Number, [61_000.0].into_iter(), 4);
        assert_eq!(labels(&axis), ["0", "20,000", "40,000", "60,000", "80,000"]);
        let axis = Axis::round(AxisUnit::Share, [1.0 + 1e-15].into_iter(), 5);
        assert_eq!(axis.high, 1.0);
        let axis = Axis::tight(AxisUnit::Count, [1.0, 20.0].into_iter(), 6);
        assert_eq!((axis.low, labels(&axis)), (1.0, ["5", "10", "15", "20"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn axis_of_odd_values_is_finite() {
        let odd =
            [vec![], vec![0.0], vec![f64::NAN, f64::INFINITY], vec![1e90, -1e90], vec![1e-12], vec![3.0, 3.0]];
        for values in odd {
            for unit in [AxisUnit::Count, AxisUnit::Share, AxisUnit::Number] {
                for axis in
                    [Axis::round(unit, values.iter().copied(), 5), Axis::tight(unit, values.iter().copied(), 5)]
                {
                    let finite = axis.low.is_finite() && axis.high.is_finite() && axis.low < axis.high;
                    assert!(finite && axis.ticks.len() < 20, "{unit:?} {values:?}: {axis:?}");
                }
            }
        }
    }
}
