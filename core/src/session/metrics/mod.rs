//! What is reported of a run (`spec` section 6).

mod concern;
mod episode;
mod pentagon;
mod report;

pub use concern::{Concern, Course};
pub use pentagon::pp1_distance;
pub use report::{EpisodeReport, LearningReport, RoundReport};
