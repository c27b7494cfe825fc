//! Axes: a range of round numbers, and what is written at them.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::output::thousands;

/// An axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Where something is written.
    pub(super) ticks: Vec<f64>,
    step: f64,
    unit: Unit,
}

/// What an axis' numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Unit {
    /// Rounds, episodes, updates.
    Count,
    /// Of 1, told in hundredths.
    Share,
    /// Any number.
    Number,
}

impl Axis {
    /// An axis from the least of the values to the greatest, ends included as they are, with at most so many ticks.
    pub(super) fn tight(unit: Unit, values: impl Iterator<Item = f64>, most: usize) -> Self {
        let (low, high) = range(values);
        let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
        Self::with(unit, low, high, most, false)
    }

    /// An axis whose ends are round numbers, from 0 on where no value is below it.
    pub(super) fn round(unit: Unit, values: impl Iterator<Item = f64>, most: usize) -> Self {
        let (low, high) = range(values);
        let (low, high) = (low.min(0.0), high.max(0.0));
        let high = if low == high { 1.0 } else { high };
        Self::with(unit, low, high, most, true)
    }

    /// An axis where nothing is written.
    pub(super) fn silent(low: f64, high: f64) -> Self {
        Self { low, high, ticks: Vec::new(), step: high - low, unit: Unit::Number }
    }

    fn with(unit: Unit, low: f64, high: f64, most: usize, widen: bool) -> Self {
        let step = step((high - low) / most as f64, unit == Unit::Count);
        let (first, last) = if widen {
            // Shares that sum to 1 but for rounding need no more room.
            let first = (low / step + 1e-9).floor() as i64;
            (first, ((high / step - 1e-9).ceil() as i64).max(first + 1))
        } else {
            ((low / step).ceil() as i64, (high / step).floor() as i64)
        };
        let ticks: Vec<f64> = (first..=last).take(2 * most + 2).map(|n| n as f64 * step).collect();
        let ends = |end: f64, tick: Option<&f64>| if widen { tick.copied().unwrap_or(end) } else { end };
        Self { low: ends(low, ticks.first()), high: ends(high, ticks.last()), ticks, step, unit }
    }

    /// What is written at a tick.
    pub(super) fn label(&self, value: f64) -> String {
        let value = if value.abs() < self.step / 1e6 { 0.0 } else { value };
        match self.unit {
            Unit::Count => thousands(value.max(0.0) as u64),
            Unit::Share => format!("{} %", plain(100.0 * value, 100.0 * self.step)),
            Unit::Number => plain(value, self.step),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        // What lies far outside shall not leave what a pixel's number can be.
        let way = ((value - self.low) / (self.high - self.low)).clamp(-1.0, 2.0);
        (f64::from(from) + way * f64::from(to - from)).round() as i32
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

/// As many digits as tell steps apart.
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

/// The least round number that is not below the given one.
fn step(least: f64, whole: bool) -> f64 {
    let power = 10_f64.powf(least.max(f64::MIN_POSITIVE).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0].into_iter().map(|times| times * power).find(|step| *step >= least);
    let step = step.unwrap_or(10.0 * power);
    if whole { step.ceil().max(1.0) } else { step }
}

/// The least and the greatest of the numbers that can be drawn; 0 and 1 if there are none.
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
    fn ticks_are_round_numbers_that_hold_what_is_drawn() {
        let axis = Axis::round(Unit::Number, [0.04, 0.93].into_iter(), 5);
        assert_eq!(labels(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let axis = Axis::round(Unit::Share, [0.31, 0.0].into_iter(), 4);
        assert_eq!(labels(&axis), ["0 %", "10 %", "20 %", "30 %", "40 %"]);
        let axis = Axis::round(Unit::Number, [-3.1, 1.7].into_iter(), 5);
        assert_eq!(labels(&axis), ["-4", "-3", "-2", "-1", "0", "1", "2"]);
        let axis = Axis::round(Unit::Number, [61_000.0].into_iter(), 4);
        assert_eq!(labels(&axis), ["0", "20,000", "40,000", "60,000", "80,000"]);
        let axis = Axis::round(Unit::Share, [1.0 + 1e-15].into_iter(), 5);
        assert_eq!(axis.high, 1.0);
        let axis = Axis::tight(Unit::Count, [1.0, 20.0].into_iter(), 6);
        assert_eq!((axis.low, labels(&axis)), (1.0, ["5", "10", "15", "20"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn whatever_there_is_has_an_axis() {
        let odd =
            [vec![], vec![0.0], vec![f64::NAN, f64::INFINITY], vec![1e90, -1e90], vec![1e-12], vec![3.0, 3.0]];
        for values in odd {
            for unit in [Unit::Count, Unit::Share, Unit::Number] {
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
