//! Selects a backend and runs work on it. No other module names a concrete backend.

use recsim_conformance::shadow::Shadow;
use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, BackendError, ErrorKind};
use recsim_core::session::config::{Auto, Config};
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::error::BadInput;
#[cfg(feature = "cpu")]
use crate::output::counted;

/// The backend that the settings ask for, with its options.
#[derive(Clone, Debug)]
pub(crate) struct DeviceChoice {
    name: BackendName,
    threads: Option<usize>,
    #[cfg(feature = "cpu")]
    instruction_set: recsim_backend_cpu::InstructionSet,
    #[cfg(feature = "cuda")]
    precision: recsim_backend_cuda::Precision,
    shadow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BackendName {
    Cpu,
    Cuda,
    Reference,
}

/// The backend in use, as it is recorded in files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeviceInfo {
    /// Name of the backend: `cpu`, `cuda` or `reference`.
    pub(crate) backend: String,
    /// Number of threads in use.
    pub(crate) threads: usize,
    /// Instruction set in use; on a GPU, its architecture and the precision of matrix products. Acting and training are
    /// reproducible, bit for bit, for a given value.
    pub(crate) instruction_set: String,
    /// The backend that every stage is checked against, if any.
    pub(crate) shadow: Option<String>,
}

impl DeviceInfo {
    /// Writes the instruction set in use to `config`, so that the run can be repeated with the same bits.
    ///
    /// Only the `cpu` backend has one. On another backend, a resumed run (`is_resumed`) keeps the recorded one, with
    /// which it can later be resumed on the CPU; a new run records `auto`.
    pub(crate) fn record_instruction_set(&self, config: &mut Config, is_resumed: bool) {
        match &*self.backend {
            "cpu" => self.instruction_set.clone_into(&mut config.experiment.instruction_set),
            _ if is_resumed => {}
            _ => "auto".clone_into(&mut config.experiment.instruction_set),
        }
    }
}

/// Work that runs on any backend. The trait is the closure that is generic over the backend's type.
pub(crate) trait DeviceJob {
    /// The result.
    type Output;

    /// Runs the work on `backend`, which `about` describes.
    ///
    /// # Errors
    /// If the backend fails, or the work itself.
    fn run<B: Backend>(self, backend: B, about: DeviceInfo) -> anyhow::Result<Self::Output>;
}

impl DeviceChoice {
    /// Reads `backend`, `threads`, `instruction_set` and `precision` of the group `experiment`. With `shadow`, every
    /// stage is checked against the reference backend.
    ///
    /// # Errors
    /// If the backend does not exist or was not built, this machine lacks the instruction set, or an option does not
    /// fit the backend.
    pub(crate) fn of(settings: &Settings, shadow: bool) -> Result<Self, BadInput> {
        let experiment = &settings.config.experiment;
        let name = match &*experiment.backend {
            "cpu" if cfg!(feature = "cpu") => BackendName::Cpu,
            "cuda" if cfg!(feature = "cuda") => BackendName::Cuda,
            "reference" => BackendName::Reference,
            known @ ("cpu" | "cuda") => {
                let problem = format!("this recsim was built without `{known}`: build it with --features {known}");
                return Err(settings.refuse_value("experiment.backend", problem));
            }
            other => {
                let problem = format!("there is no backend `{other}`: it must be cpu, cuda or reference");
                return Err(settings.refuse_value("experiment.backend", problem));
            }
        };
        if experiment.precision != "float32" && name != BackendName::Cuda {
            let problem = "`experiment.precision` applies to cuda only: other backends multiply in float32";
            return Err(settings.refuse_value("experiment.precision", problem));
        }
        let td3 = &settings.config.td3;
        if shadow && td3.batch_norm && td3.batch_size < MIN_SHADOW_BATCH {
            let problem = format!(
                "`td3.batch_size` is {}, and must be {MIN_SHADOW_BATCH} or more with --shadow while `td3.batch_norm` \
                 is true: on a smaller minibatch, BatchNorm leaves gradients that are mostly rounding errors, which \
                 differ between backends",
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
            instruction_set: instruction_set(settings, name)?,
            #[cfg(feature = "cuda")]
            precision: experiment.precision.parse().expect("the configuration was checked"),
            shadow,
        })
    }

    /// The number of threads in the settings, or `None` for one per core.
    pub(crate) fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// Checks that the device exists, before any work is done for it.
    ///
    /// # Errors
    /// If there is no CUDA driver or no GPU.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.name {
            #[cfg(feature = "cuda")]
            BackendName::Cuda => recsim_backend_cuda::Gpu::find().map(drop).map_err(start_error),
            _ => Ok(()),
        }
    }

    /// Runs `job` on the device.
    ///
    /// # Errors
    /// If the backend cannot be started, or `job` fails.
    pub(crate) fn run<J: DeviceJob>(&self, job: J) -> anyhow::Result<J::Output> {
        let about = |backend: &str, threads, instruction_set: &str| DeviceInfo {
            backend: backend.to_owned(),
            threads,
            instruction_set: instruction_set.to_owned(),
            shadow: self.shadow.then(|| "reference".to_owned()),
        };
        match self.name {
            BackendName::Reference => {
                self.shadowed(Reference::<f32>::default(), about("reference", 1, "portable"), job)
            }
            #[cfg(feature = "cpu")]
            BackendName::Cpu => {
                let cpu = recsim_backend_cpu::Cpu::on(self.instruction_set, self.threads).map_err(start_error)?;
                let about = about("cpu", cpu.threads(), cpu.instruction_set().name());
                self.shadowed(cpu, about, job)
            }
            #[cfg(feature = "cuda")]
            BackendName::Cuda => {
                let gpu = recsim_backend_cuda::Gpu::new(self.precision).map_err(start_error)?;
                let about = about("cuda", 1, &gpu.arithmetic());
                self.shadowed(recsim_backend_cuda::Cuda::on(gpu), about, job)
            }
            #[cfg(not(all(feature = "cpu", feature = "cuda")))]
            _ => unreachable!("`of` refuses a backend that was not built"),
        }
    }

    fn shadowed<B: Backend, J: DeviceJob>(
        &self,
        backend: B,
        about: DeviceInfo,
        job: J,
    ) -> anyhow::Result<J::Output> {
        if self.shadow {
            run_on(job, Shadow::new(backend, Reference::<f32>::default()), about)
        } else {
            run_on(job, backend, about)
        }
    }
}

/// Rows in the smallest minibatch that backends are compared on. Two normalized rows differ only in sign and pass no
/// gradient; backends were found to agree from four rows on.
const MIN_SHADOW_BATCH: u32 = 8;

/// What a backend reports about this machine.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) backend: &'static str,
    /// Whether `recsim train` can use it.
    pub(crate) usable: bool,
    /// The device, or what is missing and how to get it.
    pub(crate) found: String,
}

/// The finding of each backend.
pub(crate) fn findings() -> Vec<Finding> {
    let description = "plain loops: slow; the other backends are tested against it".to_owned();
    vec![cpu(), cuda(), Finding { backend: "reference", usable: true, found: description }]
}

#[cfg(feature = "cpu")]
fn cpu() -> Finding {
    let sets: Vec<&str> =
        recsim_backend_cpu::InstructionSet::available().map(recsim_backend_cpu::InstructionSet::name).collect();
    let (usable, found) = match recsim_backend_cpu::Cpu::new(None) {
        Ok(cpu) => (
            true,
            format!(
                "{}; {} (--instruction-set selects another)",
                counted(cpu.threads(), "thread"),
                sets.join(", ")
            ),
        ),
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

/// The instruction set in the settings, or the machine's best.
///
/// # Errors
/// If this machine lacks it.
#[cfg(feature = "cpu")]
fn instruction_set(settings: &Settings, name: BackendName) -> Result<recsim_backend_cpu::InstructionSet, BadInput> {
    use recsim_backend_cpu::InstructionSet;
    let requested = settings
        .config
        .experiment
        .instruction_set
        .parse::<InstructionSet>()
        .ok()
        .filter(|_| name == BackendName::Cpu);
    let Some(set) = requested else { return Ok(InstructionSet::best()) };
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

/// Runs `job`. Adds a remedy to an error of the backend, if there is one.
fn run_on<B: Backend, J: DeviceJob>(job: J, backend: B, about: DeviceInfo) -> anyhow::Result<J::Output> {
    job.run(backend, about).map_err(|error| {
        let kind = error.chain().find_map(|cause| cause.downcast_ref::<B::Error>()).map(BackendError::kind);
        with_remedy(error, kind.and_then(remedy))
    })
}

/// The error of a backend that could not be started, with a remedy if there is one.
#[cfg(any(feature = "cpu", feature = "cuda"))]
fn start_error<E: BackendError>(error: E) -> anyhow::Error {
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

/// The remedy for an error of a backend, if there is one.
fn remedy(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::OutOfMemory => Some("reduce `td3.buffer_size`, `training.batch_size` or the world's users"),
        ErrorKind::Unavailable => Some("select another with --backend, such as cpu or reference"),
        _ => None,
    }
}
