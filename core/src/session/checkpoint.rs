//! The serialized form of an agent: named arrays of `f32` and a [`CheckpointHeader`].
//!
//! An array's name is a prefix for the network, then the name that PyTorch's `nn.Sequential` gives the tensor:
//!
//! | name | contents |
//! |---|---|
//! | `actor.0.weight` | the first layer's weight of the actor |
//! | `actor_target.0.weight` | the same of the target actor |
//! | `actor_adam_first.0.weight` | Adam's first moment of it |
//! | `actor_adam_second.0.weight` | Adam's second moment of it |
//!
//! `critic_1` and `critic_2` are the other prefixes. A model file holds the arrays of one network or target.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::session::RunProgress;
use crate::td3::net::{MlpLayout, NamedTensor, WeightBuffer, Weights};
use crate::td3::{AgentSpec, AgentState, Losses};

/// The version of the format. It rises when arrays or header fields change their meaning.
pub const FORMAT_VERSION: u32 = 1;

/// What a checkpoint holds besides arrays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointHeader {
    /// The [`FORMAT_VERSION`] that it was written with.
    pub format_version: u32,
    /// The counters of the run.
    pub progress: RunProgress,
    /// Optimizer steps of the actor.
    pub policy_updates: u64,
    /// Optimizer steps of the critics.
    pub critic_updates: u64,
    /// The sums of the losses of a paused round's updates; zeros if no round is paused.
    pub losses: Losses,
}

/// A named array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedArray<'a> {
    /// The name, such as `critic_1_target.4.running_var`.
    pub name: String,
    /// The dimensions.
    pub shape: Vec<usize>,
    /// The values; as many as the product of the dimensions.
    pub values: &'a [f32],
}

/// Why an agent or a model cannot be restored from its arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The format's version is not the one that this program reads.
    Format {
        /// The version in the header.
        version: u32,
    },
    /// An array is missing.
    Missing {
        /// The array's name.
        array: String,
    },
    /// An array has another shape than the tensor of the configured network.
    Shape {
        /// The array's name.
        array: String,
        /// The shape that the configuration requires.
        expected: Vec<usize>,
        /// The shape in the file.
        actual: Vec<usize>,
    },
    /// An array holds a NaN or an infinity.
    NotFinite {
        /// The array's name.
        array: String,
    },
}

impl CheckpointHeader {
    /// The header of a checkpoint of `agent`, at `progress` of its run.
    pub fn new(progress: RunProgress, agent: &AgentState) -> Self {
        let AgentState { policy_updates, critic_updates, losses, .. } = *agent;
        Self { format_version: FORMAT_VERSION, progress, policy_updates, critic_updates, losses }
    }
}

/// The layout and the name prefix of each model: `actor`, `critic_1`, `critic_2`, then the same with `_target`. Model
/// files have these names.
pub fn model_layouts(spec: &AgentSpec) -> impl Iterator<Item = (String, &MlpLayout)> {
    let suffixes = [ONLINE, TARGET].into_iter();
    suffixes.flat_map(|suffix| {
        spec.layouts().into_iter().map(move |layout| (format!("{}{suffix}", layout.name()), layout))
    })
}

/// Every array of an agent, in a fixed order. No two have the same name.
///
/// `spec` must be the one that the agent was made for.
pub fn named_arrays<'a>(spec: &AgentSpec, agent: &'a AgentState) -> Vec<NamedArray<'a>> {
    let mut arrays = Vec::new();
    for (n, layout) in spec.layouts().into_iter().enumerate() {
        let (network, target, moments) = (&agent.networks[n], &agent.targets[n], &agent.moments[n]);
        for tensor in layout.tensors() {
            let mut add = |suffix, buffer: &'a [f32]| {
                let values = &buffer[tensor.range.clone()];
                arrays.push(NamedArray {
                    name: prefixed_name(layout, &tensor, suffix),
                    shape: tensor.shape.clone(),
                    values,
                });
            };
            match tensor.buffer {
                WeightBuffer::RunningStats => {
                    add(ONLINE, &network.running_stats);
                    add(TARGET, &target.running_stats);
                }
                WeightBuffer::Parameters => {
                    add(ONLINE, &network.parameters);
                    add(TARGET, &target.parameters);
                    add(ADAM_FIRST, &moments.first);
                    add(ADAM_SECOND, &moments.second);
                }
            }
        }
    }
    arrays
}

/// Restores the agent that `header` and [`named_arrays`] were made from. `find` returns the array of a name, if there
/// is one; arrays with other names are ignored.
///
/// # Errors
/// [`CheckpointError::Format`] if the version is not [`FORMAT_VERSION`]. Otherwise the first array that is
/// [missing](CheckpointError::Missing), has [another shape](CheckpointError::Shape) than in `spec`, or is
/// [not finite](CheckpointError::NotFinite).
pub fn restore_agent<'a>(
    header: &CheckpointHeader,
    spec: &AgentSpec,
    mut find: impl FnMut(&str) -> Option<NamedArray<'a>>,
) -> Result<AgentState, CheckpointError> {
    if header.format_version != FORMAT_VERSION {
        return Err(CheckpointError::Format { version: header.format_version });
    }
    let mut agent = spec.initial_agent(0);
    (agent.policy_updates, agent.critic_updates) = (header.policy_updates, header.critic_updates);
    agent.losses = header.losses;
    for (n, layout) in spec.layouts().into_iter().enumerate() {
        let AgentState { networks, targets, moments, .. } = &mut agent;
        let (network, target, moments) = (&mut networks[n], &mut targets[n], &mut moments[n]);
        for tensor in layout.tensors() {
            let mut restore = |suffix, buffer: &mut [f32]| {
                copy_array(&mut find, prefixed_name(layout, &tensor, suffix), &tensor, buffer)
            };
            match tensor.buffer {
                WeightBuffer::RunningStats => {
                    restore(ONLINE, &mut network.running_stats)?;
                    restore(TARGET, &mut target.running_stats)?;
                }
                WeightBuffer::Parameters => {
                    restore(ONLINE, &mut network.parameters)?;
                    restore(TARGET, &mut target.parameters)?;
                    restore(ADAM_FIRST, &mut moments.first)?;
                    restore(ADAM_SECOND, &mut moments.second)?;
                }
            }
        }
    }
    Ok(agent)
}

/// Restores one network from the arrays of its model file. `find` returns the array of a name, if there is one.
///
/// # Errors
/// As [`restore_agent`], without the format version, which a model file does not have.
pub fn restore_model<'a>(
    layout: &MlpLayout,
    mut find: impl FnMut(&str) -> Option<NamedArray<'a>>,
) -> Result<Weights, CheckpointError> {
    let mut weights = Weights {
        parameters: vec![0.0; layout.parameter_count()],
        running_stats: vec![0.0; layout.running_stats_count()],
    };
    for tensor in layout.tensors() {
        let buffer = match tensor.buffer {
            WeightBuffer::Parameters => &mut weights.parameters,
            WeightBuffer::RunningStats => &mut weights.running_stats,
        };
        copy_array(&mut find, tensor.name.clone(), &tensor, buffer)?;
    }
    Ok(weights)
}

/// Copies the array of a name to its range of a buffer.
///
/// # Errors
/// The array is missing, has another shape than `tensor`, or is not finite.
fn copy_array<'a>(
    find: &mut impl FnMut(&str) -> Option<NamedArray<'a>>,
    name: String,
    tensor: &NamedTensor,
    buffer: &mut [f32],
) -> Result<(), CheckpointError> {
    let array = find(&name).ok_or_else(|| CheckpointError::Missing { array: name.clone() })?;
    if array.shape != tensor.shape || array.values.len() != tensor.range.len() {
        let (expected, actual) = (tensor.shape.clone(), array.shape);
        return Err(CheckpointError::Shape { array: name, expected, actual });
    }
    if !array.values.iter().all(|x| x.is_finite()) {
        return Err(CheckpointError::NotFinite { array: name });
    }
    buffer[tensor.range.clone()].copy_from_slice(array.values);
    Ok(())
}

/// The tensor's name, with a suffix added to its network's name.
fn prefixed_name(layout: &MlpLayout, tensor: &NamedTensor, suffix: &str) -> String {
    tensor.name.replacen(layout.name(), &(layout.name().to_string() + suffix), 1)
}

const ONLINE: &str = "";
const TARGET: &str = "_target";
const ADAM_FIRST: &str = "_adam_first";
const ADAM_SECOND: &str = "_adam_second";

impl core::error::Error for CheckpointError {}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format { version } => write!(
                f,
                "format version {version} cannot be read: this program reads version {FORMAT_VERSION}; use the program \
                 version that wrote it"
            ),
            Self::Missing { array } => write!(f, "the array `{array}` is missing"),
            Self::Shape { array, expected, actual } => write!(
                f,
                "the array `{array}` has shape {actual:?}, and the configuration requires {expected:?}; use the \
                 configuration that it was saved with"
            ),
            Self::NotFinite { array } => write!(f, "the array `{array}` holds a NaN or an infinity"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::config::Config;
    use crate::world::{SyntheticWorldConfig, brute_force_lists, generate};
    use alloc::collections::BTreeMap;

    fn spec() -> AgentSpec {
        let world_config =
            SyntheticWorldConfig { users: 2, items: 40, clusters: 2, dimensions: 2, pretrained_len: 40, seed: 0 };
        let mut config = Config::default();
        config.td3.hidden_sizes = alloc::vec![3, 2];
        config.plan(&generate(&world_config, brute_force_lists).view().unwrap()).unwrap().agent
    }

    /// An agent in which no two values are equal.
    fn agent(spec: &AgentSpec) -> AgentState {
        let mut agent = spec.initial_agent(1);
        let mut next = 0.0;
        let weights = agent.networks.iter_mut().chain(&mut agent.targets);
        let buffers = weights.flat_map(|weights| [&mut weights.parameters, &mut weights.running_stats]);
        let moments = agent.moments.iter_mut().flat_map(|moments| [&mut moments.first, &mut moments.second]);
        for value in buffers.chain(moments).flatten() {
            next += 1.0;
            *value = next;
        }
        (agent.policy_updates, agent.critic_updates) = (3, 7);
        agent.losses = Losses { critic_updates: 2, critic_loss: 0.1, ..Losses::default() };
        agent
    }

    #[test]
    fn restore_agent_inverts_named_arrays() {
        let spec = spec();
        let agent = agent(&spec);
        let header = CheckpointHeader::new(RunProgress::default(), &agent);
        let arrays: BTreeMap<_, _> = named_arrays(&spec, &agent).into_iter().map(|a| (a.name.clone(), a)).collect();
        assert_eq!(arrays.len(), named_arrays(&spec, &agent).len(), "names are unique");
        assert_eq!(restore_agent(&header, &spec, |name| arrays.get(name).cloned()), Ok(agent));
    }

    #[test]
    fn restore_model_reads_one_network_of_the_agent() {
        let spec = spec();
        let agent = agent(&spec);
        let find = |name: &str| named_arrays(&spec, &agent).into_iter().find(|array| array.name == name);
        for (layout, network) in spec.layouts().into_iter().zip(&agent.networks) {
            assert_eq!(restore_model(layout, find).as_ref(), Ok(network));
        }
        let missing = restore_model(&spec.actor, |_| None);
        assert!(matches!(missing, Err(CheckpointError::Missing { array }) if array.starts_with("actor.")));
    }

    #[test]
    fn restore_agent_names_the_invalid_array() {
        let spec = spec();
        let agent = agent(&spec);
        let header = CheckpointHeader::new(RunProgress::default(), &agent);
        let first = named_arrays(&spec, &agent).swap_remove(0);
        let restore_with = |replacement: Option<NamedArray<'static>>| {
            let agent = &agent;
            restore_agent(&header, &spec, |name| {
                if name == first.name {
                    replacement.clone()
                } else {
                    named_arrays(&spec, agent).into_iter().find(|array| array.name == name)
                }
            })
        };
        assert_eq!(restore_with(None), Err(CheckpointError::Missing { array: first.name.clone() }));
        let (name, expected) = (first.name.clone(), first.shape.clone());
        let flat = NamedArray { name: name.clone(), shape: alloc::vec![1], values: &[1.0] };
        let actual = alloc::vec![1];
        assert_eq!(restore_with(Some(flat)), Err(CheckpointError::Shape { array: name.clone(), expected, actual }));
        let values: &'static [f32] = &[f32::NAN; 12];
        let nan = NamedArray { name: name.clone(), shape: first.shape.clone(), values };
        assert_eq!(restore_with(Some(nan)), Err(CheckpointError::NotFinite { array: name }));
        let unknown = CheckpointHeader { format_version: FORMAT_VERSION + 1, ..header };
        assert_eq!(restore_agent(&unknown, &spec, |_| None), Err(CheckpointError::Format { version: 2 }));
    }
}
