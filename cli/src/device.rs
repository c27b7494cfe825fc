//! The only place that names a backend.

use recsim_conformance::shadow::Shadow;
use recsim_core::backend::Device;
use recsim_core::reference::Reference;
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::error::BadInput;

/// What shall compute, as meant.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    name: Name,
    threads: Option<usize>,
    shadow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Cpu,
    Cuda,
    Reference,
}

/// What computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The backend's name.
    pub(crate) backend: String,
    /// Threads in use.
    pub(crate) threads: usize,
    /// The instruction set in use: learning is reproducible on one of them.
    pub(crate) instruction_set: String,
    /// The backend that checks every stage, if any.
    pub(crate) shadow: Option<String>,
}

/// Something to be done on whatever device was chosen.
pub(crate) trait Job {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<B: Device>(self, backend: B, about: About) -> anyhow::Result<Self::Output>;
}

impl Choice {
    /// Reads `experiment.backend` and `experiment.threads`; `shadow` has every stage checked by the reference.
    pub(crate) fn of(settings: &Settings, shadow: bool) -> Result<Self, BadInput> {
        let experiment = &settings.config.experiment;
        let name = match &*experiment.backend {
            "cpu" if cfg!(feature = "cpu") => Name::Cpu,
            "cuda" if cfg!(feature = "cuda") => Name::Cuda,
            "reference" => Name::Reference,
            known @ ("cpu" | "cuda") => {
                let problem = format!("this recsim was built without `{known}`: build it with --features {known}");
                return Err(settings.refuse_value("experiment.backend", problem));
            }
            other => {
                let problem = format!("there is no backend `{other}`: it must be cpu, cuda or reference");
                return Err(settings.refuse_value("experiment.backend", problem));
            }
        };
        let threads = match experiment.threads.or(DEFAULT_THREADS) {
            DEFAULT_THREADS => None,
            threads @ 1..=MOST_THREADS => Some(threads as usize),
            other => {
                let problem = format!("`experiment.threads` is {other}, and must be from 1 to {MOST_THREADS}");
                return Err(settings.refuse_value("experiment.threads", problem));
            }
        };
        Ok(Self { name, threads, shadow })
    }

    /// Threads asked for; none for one per core.
    pub(crate) fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// Does `job` on the device.
    pub(crate) fn run<J: Job>(&self, job: J) -> anyhow::Result<J::Output> {
        let about = |backend: &str, threads, instruction_set: &str| About {
            backend: backend.to_owned(),
            threads,
            instruction_set: instruction_set.to_owned(),
            shadow: self.shadow.then(|| "reference".to_owned()),
        };
        match self.name {
            Name::Reference => self.shadowed(Reference::<f32>::default(), about("reference", 1, "portable"), job),
            #[cfg(feature = "cpu")]
            Name::Cpu => {
                let cpu = recsim_backend_cpu::Cpu::new(self.threads)?;
                let about = about("cpu", cpu.threads(), cpu.instruction_set());
                self.shadowed(cpu, about, job)
            }
            #[cfg(feature = "cuda")]
            Name::Cuda => match recsim_backend_cuda::Cuda::new() {
                Err(error) => Err(error.into()),
                Ok(_) => unreachable!("its stages are not written yet, and it says so"),
            },
            #[cfg(not(all(feature = "cpu", feature = "cuda")))]
            _ => unreachable!("a backend that was not built is refused when it is chosen"),
        }
    }

    fn shadowed<B: Device, J: Job>(&self, backend: B, about: About, job: J) -> anyhow::Result<J::Output> {
        if self.shadow {
            job.run(Shadow::new(backend, Reference::<f32>::default()), about)
        } else {
            job.run(backend, about)
        }
    }
}

const DEFAULT_THREADS: u32 = u32::MAX;
const MOST_THREADS: u32 = 1024;
