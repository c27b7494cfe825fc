//! What is reported of a run (`spec` section 6).

mod concern;
mod episode;
mod fixed;
mod losses;
mod pentagon;
mod report;
mod tally;

pub use concern::{Concern, Course};
pub use fixed::Fixed;
pub use losses::Losses;
pub use pentagon::pp1_distance;
pub use report::{EpisodeReport, LearningReport, RoundReport, Seconds};
pub use tally::Tally;
