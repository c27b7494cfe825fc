//! What a report is made of: runs and evaluations, read before anything is drawn.

use std::path::{Path, PathBuf};

use super::trained::Trained;
use crate::error::BadInput;
use crate::files::evaluation::{self, Evaluation};
use crate::files::{folder, names};

/// Everything that was given, in its order.
pub(super) struct Sources {
    pub(super) runs: Vec<Trained>,
    pub(super) evaluations: Vec<Named>,
}

/// An evaluation, and its file as it was given.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) evaluation: Evaluation,
}

impl Sources {
    /// Reads folders of runs, which may hold evaluations, and files of evaluations.
    pub(super) fn read(inputs: &[PathBuf]) -> anyhow::Result<Self> {
        let mut sources = Self { runs: Vec::new(), evaluations: Vec::new() };
        for (n, path) in inputs.iter().enumerate() {
            if inputs[..n].iter().any(|other| folder::is_same(other, path)) {
                return Err(BadInput::new(path.display(), "this is given twice", "leave out one of the two").into());
            }
            if !path.exists() {
                let problem = "there is no such file or folder";
                return Err(BadInput::new(path.display(), problem, REMEDY).into());
            }
            if path.is_dir() { sources.folder(path, inputs)? } else { sources.evaluation(path)? }
        }
        Ok(sources)
    }

    fn folder(&mut self, path: &Path, inputs: &[PathBuf]) -> anyhow::Result<()> {
        let evaluation = path.join(evaluation::NAME);
        let (run, evaluated) = (path.join(names::RUN).is_file(), evaluation.is_file());
        if !run && !evaluated {
            let problem = format!(
                "this folder holds neither a run nor an evaluation: there is no {} and no {} in it",
                names::RUN,
                evaluation::NAME
            );
            return Err(BadInput::new(path.display(), problem, REMEDY).into());
        }
        if run {
            let read = Trained::read(path)?;
            if let Some(other) = self.runs.iter().find(|other| other.is_the_same_as(&read)) {
                let problem =
                    format!("this is a copy of {}: it began in the same second with the same seed", other.name);
                return Err(BadInput::new(path.display(), problem, "leave out one of the two").into());
            }
            self.runs.push(read);
        }
        // Whoever gives a file of the folder too means it once.
        if evaluated && !inputs.iter().any(|other| folder::is_same(other, &evaluation)) {
            self.evaluation(&evaluation)?;
            if run {
                self.of_this_run(&evaluation)?;
            }
        }
        Ok(())
    }

    /// Refuses an evaluation that was found in a run's folder and that another run, since replaced, has left there.
    fn of_this_run(&self, path: &Path) -> Result<(), BadInput> {
        let (run, found) = (self.runs.last(), self.evaluations.last());
        let times = run.zip(found).map(|(run, found)| (&run.run.started, &found.evaluation.timestamp));
        match times {
            // Both are written alike, so that the earlier is the lesser.
            Some((started, written)) if written < started => {
                let problem =
                    format!("`timestamp` is {written}, and the run in this folder began later, at {started}");
                Err(BadInput::new(path.display(), problem, "evaluate that run, or move this file elsewhere"))
            }
            _ => Ok(()),
        }
    }

    fn evaluation(&mut self, path: &Path) -> anyhow::Result<()> {
        let evaluation = Evaluation::read(path)?;
        self.evaluations.push(Named { name: path.display().to_string(), evaluation });
        Ok(())
    }
}

const REMEDY: &str = "give the folder of a run of `recsim train`, or a file that `recsim eval --out` wrote";
