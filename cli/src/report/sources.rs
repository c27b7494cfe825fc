//! Reads the inputs of a report: runs and evaluations.

use std::path::{Path, PathBuf};

use super::run_data::RunData;
use crate::error::BadInput;
use crate::files::evaluation::{self, Evaluation};
use crate::files::{folder, names};

/// All inputs, in the order given.
pub(super) struct Sources {
    pub(super) runs: Vec<RunData>,
    pub(super) evaluations: Vec<NamedEvaluation>,
}

/// An evaluation, and its path as given on the command line.
pub(super) struct NamedEvaluation {
    pub(super) name: String,
    pub(super) evaluation: Evaluation,
}

impl Sources {
    /// Reads folders of runs, which may contain an `evaluation.json`, and files of evaluations.
    ///
    /// # Errors
    /// If an input is missing, damaged or given twice.
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
        let (has_run, has_evaluation) = (path.join(names::RUN).is_file(), evaluation.is_file());
        if !has_run && !has_evaluation {
            let problem = format!("this folder contains neither {} of a run nor {}", names::RUN, evaluation::NAME);
            return Err(BadInput::new(path.display(), problem, REMEDY).into());
        }
        if has_run {
            let read = RunData::read(path)?;
            if let Some(other) = self.runs.iter().find(|other| other.is_the_same_as(&read)) {
                let problem = format!(
                    "this is a copy of {}: both started in the same second with the same settings",
                    other.name
                );
                return Err(BadInput::new(path.display(), problem, "leave out one of the two").into());
            }
            self.runs.push(read);
        }
        // The evaluation may be given by its own path too; it is read once.
        if has_evaluation && !inputs.iter().any(|other| folder::is_same(other, &evaluation)) {
            self.evaluation(&evaluation)?;
            if has_run {
                self.check_is_of_last_run(&evaluation)?;
            }
        }
        Ok(())
    }

    /// Refuses an evaluation in a run's folder that is older than the run: it is of a run that was replaced.
    fn check_is_of_last_run(&self, path: &Path) -> Result<(), BadInput> {
        let (run, evaluation) = (self.runs.last(), self.evaluations.last());
        let times = run.zip(evaluation).map(|(run, named)| (&run.run.started, &named.evaluation.timestamp));
        match times {
            // Both have the same format, in which an earlier time compares as less.
            Some((started, written)) if written < started => {
                let problem =
                    format!("`timestamp` is {written}, and the run in this folder started later, at {started}");
                Err(BadInput::new(path.display(), problem, "evaluate that run, or move this file elsewhere"))
            }
            _ => Ok(()),
        }
    }

    fn evaluation(&mut self, path: &Path) -> anyhow::Result<()> {
        let evaluation = Evaluation::read(path)?;
        self.evaluations.push(NamedEvaluation { name: path.display().to_string(), evaluation });
        Ok(())
    }
}

const REMEDY: &str = "give the folder of a run of `recsim train`, or a file that `recsim eval --out` wrote";
