//! The reports of a run, and training warnings (`docs/spec.md`, section 6).

mod episode;
mod pp1_distance;
mod report;
mod warning;

pub use pp1_distance::pp1_distance;
pub use report::{EpisodeReport, LearningReport, RoundReport};
pub use warning::{TrainingMonitor, TrainingWarning};
