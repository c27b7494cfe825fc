//! The only place that names a backend.

use recsim_conformance::shadow::Shadow;
use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, BackendError, ErrorKind};
use recsim_core::session::config::{Auto, Config};
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::error::BadInput;
#[cfg(feature = "cpu")]
use crate::output::counted;

/// What shall compute, as meant.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    name: Name,
    threads: Option<usize>,
    #[cfg(feature = "cpu")]
    isa: recsim_backend_cpu::InstructionSet,
    #[cfg(feature = "cuda")]
    precision: recsim_backend_cuda::Precision,
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
    /// The instruction set in use, of a GPU with the precision of products: acting and learning are reproducible on one of them.
    pub(crate) instruction_set: String,
    /// The backend that checks every stage, if any.
    pub(crate) shadow: Option<String>,
}

impl About {
    /// Records what was left to the device, and matters to whoever wants the same numbers again. Other backends have no
    /// instruction set to choose: if a run went `on_from` elsewhere, what it was begun with on the CPU it may go on with there.
    pub(crate) fn settle(&self, config: &mut Config, on_from: bool) {
        match &*self.backend {
            "cpu" => self.instruction_set.clone_into(&mut config.experiment.instruction_set),
            _ if on_from => {}
            _ => "auto".clone_into(&mut config.experiment.instruction_set),
        }
    }
}

/// Something to be done on whatever device was chosen.
pub(crate) trait Job {
    /// What comes of it.
    type Output;

    /// Does it.
    fn run<B: Backend>(self, backend: B, about: About) -> anyhow::Result<Self::Output>;
}

impl Choice {
    /// Reads `experiment`'s `backend`, `threads` and `isa`; `shadow` has every stage checked by the reference.
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
        if experiment.precision != "float32" && name != Name::Cuda {
            let problem = "`experiment.precision` is of cuda's alone: others multiply in float32";
            return Err(settings.refuse_value("experiment.precision", problem));
        }
        let td3 = &settings.config.td3;
        if shadow && td3.batch_norm && td3.batch_size < FEWEST_SHADOWED {
            let problem = format!(
                "`td3.batch_size` is {}, and with --shadow must be at least {FEWEST_SHADOWED} while `td3.batch_norm` \
                 is true: of a few rows BatchNorm leaves gradients that are mostly rounding, on each backend its own",
                td3.batch_size
            );
            return Err(settings.refuse_value("td3.batch_size", problem));
        }
        let threads = match experiment.threads {
            Auto::Auto => None,
            Auto::Given(threads) => Some(threads as usize),
        };
        Ok(Self {
            name,
            threads,
            #[cfg(feature = "cpu")]
            isa: instruction_set(settings, name)?,
            #[cfg(feature = "cuda")]
            precision: experiment.precision.parse().expect("the configuration was checked"),
            shadow,
        })
    }

    /// Threads asked for; none for one per core.
    pub(crate) fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// Errs if the device is not there: before anybody works for it.
    pub(crate) fn look(&self) -> anyhow::Result<()> {
        match self.name {
            #[cfg(feature = "cuda")]
            Name::Cuda => recsim_backend_cuda::Gpu::find().map(drop).map_err(unstarted),
            _ => Ok(()),
        }
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
                let cpu = recsim_backend_cpu::Cpu::on(self.isa, self.threads).map_err(unstarted)?;
                let about = about("cpu", cpu.threads(), cpu.instruction_set().name());
                self.shadowed(cpu, about, job)
            }
            #[cfg(feature = "cuda")]
            Name::Cuda => {
                let gpu = recsim_backend_cuda::Gpu::new(self.precision).map_err(unstarted)?;
                let about = about("cuda", 1, &gpu.arithmetic());
                self.shadowed(recsim_backend_cuda::Cuda::on(gpu), about, job)
            }
            #[cfg(not(all(feature = "cpu", feature = "cuda")))]
            _ => unreachable!("a backend that was not built is refused when it is chosen"),
        }
    }

    fn shadowed<B: Backend, J: Job>(&self, backend: B, about: About, job: J) -> anyhow::Result<J::Output> {
        if self.shadow {
            helped(job, Shadow::new(backend, Reference::<f32>::default()), about)
        } else {
            helped(job, backend, about)
        }
    }
}

/// Two rows differ in their signs alone once they are normalised, so that no gradient passes; from four rows on backends
/// were found to agree.
const FEWEST_SHADOWED: u32 = 8;

/// What a backend found on this machine.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) backend: &'static str,
    /// Whether `recsim train` can use it.
    pub(crate) usable: bool,
    /// What there is, or what is missing and how to get it.
    pub(crate) found: String,
}

/// What each backend finds.
pub(crate) fn findings() -> Vec<Finding> {
    let plain = "plain loops: slow, and what all others are held to".to_owned();
    vec![cpu(), cuda(), Finding { backend: "reference", usable: true, found: plain }]
}

#[cfg(feature = "cpu")]
fn cpu() -> Finding {
    let sets: Vec<&str> =
        recsim_backend_cpu::InstructionSet::available().map(recsim_backend_cpu::InstructionSet::name).collect();
    let (usable, found) = match recsim_backend_cpu::Cpu::new(None) {
        Ok(cpu) => {
            (true, format!("{}; {} (--isa takes another)", counted(cpu.threads(), "thread"), sets.join(", ")))
        }
        Err(error) => (false, error.to_string()),
    };
    Finding { backend: "cpu", usable, found }
}

#[cfg(not(feature = "cpu"))]
fn cpu() -> Finding {
    Finding { backend: "cpu", usable: false, found: NOT_BUILT.replace("{}", "cpu") }
}

#[cfg(feature = "cuda")]
fn cuda() -> Finding {
    let gpu = recsim_backend_cuda::Gpu::new(recsim_backend_cuda::Precision::default());
    let (usable, found) = match gpu.and_then(|gpu| gpu.describe()) {
        Ok(found) => (true, found),
        Err(error) => (false, error.to_string()),
    };
    Finding { backend: "cuda", usable, found }
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Finding {
    Finding { backend: "cuda", usable: false, found: NOT_BUILT.replace("{}", "cuda") }
}

#[cfg(not(all(feature = "cpu", feature = "cuda")))]
const NOT_BUILT: &str = "this recsim was built without it: build it with --features {}";

/// The instruction set asked for, which the CPU backend must find on this machine.
#[cfg(feature = "cpu")]
fn instruction_set(settings: &Settings, name: Name) -> Result<recsim_backend_cpu::InstructionSet, BadInput> {
    use recsim_backend_cpu::InstructionSet;
    let asked =
        settings.config.experiment.instruction_set.parse::<InstructionSet>().ok().filter(|_| name == Name::Cpu);
    let Some(set) = asked else { return Ok(InstructionSet::best()) };
    let available: Vec<&str> = InstructionSet::available().map(InstructionSet::name).collect();
    if available.contains(&set.name()) {
        return Ok(set);
    }
    let problem = format!(
        "this machine has no {set}: `experiment.instruction_set` must be auto or {}",
        available.join(" or ")
    );
    Err(settings.refuse_value("experiment.instruction_set", problem))
}

/// Does `job`; an error of the backend's says what may help, where something may.
fn helped<B: Backend, J: Job>(job: J, backend: B, about: About) -> anyhow::Result<J::Output> {
    job.run(backend, about).map_err(|error| {
        let kind = error.chain().find_map(|cause| cause.downcast_ref::<B::Error>()).map(BackendError::kind);
        with_remedy(error, kind.and_then(remedy))
    })
}

/// The error of a backend that could not be made.
#[cfg(any(feature = "cpu", feature = "cuda"))]
fn unstarted<E: BackendError>(error: E) -> anyhow::Error {
    let remedy = remedy(error.kind());
    let error = anyhow::Error::from(error);
    with_remedy(error, remedy)
}

fn with_remedy(error: anyhow::Error, remedy: Option<&str>) -> anyhow::Error {
    match remedy {
        Some(remedy) => anyhow::anyhow!("{error:#}\n  help: {remedy}"),
        None => error,
    }
}

/// What may help against an error of a backend's.
fn remedy(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::OutOfMemory => Some("reduce `td3.buffer_size`, `training.batch_size` or the world's users"),
        ErrorKind::Unavailable => Some("choose another with --backend, such as cpu or reference"),
        _ => None,
    }
}
