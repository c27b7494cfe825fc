//! What must be kept of an agent so that it can go on learning, and what it is called in files.
//!
//! An agent is a list of named tables of `f32` and a [`CheckpointHeader`]. A network's tables bear the names PyTorch's
//! `nn.Sequential` gives them behind a stem: `actor.0.weight` is the network itself, `actor_target.0.weight` its
//! target's, `actor_adam_first.0.weight` and `actor_adam_second.0.weight` Adam's moments of it. A model file holds the
//! tables of one stem.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::session::RunProgress;
use crate::td3::net::{MlpLayout, NamedTensor, WeightBuffer, Weights};
use crate::td3::{AgentSpec, AgentState, Losses};

/// Raised when the tables or the header change their meaning.
pub const FORMAT_VERSION: u32 = 1;

/// What a checkpoint holds besides tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointHeader {
    /// [`FORMAT_VERSION`] when it was written.
    pub format_version: u32,
    /// How far the run had come.
    pub progress: RunProgress,
    /// Optimizer steps of the actor.
    pub policy_updates: u64,
    /// Optimizer steps of the critics.
    pub critic_updates: u64,
    /// What the updates of a suspended round reported.
    pub losses: Losses,
}

/// A named table, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedArray<'a> {
    /// Such as `critic_1_target.4.running_var`.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// As many as the shape asks for.
    pub values: &'a [f32],
}

/// Why an agent cannot be made from what was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It was written in a format this version does not know.
    Format {
        /// The format's version.
        version: u32,
    },
    /// A table is not there.
    Missing {
        /// The table's name.
        array: String,
    },
    /// A table has another shape than the configuration's network.
    Shape {
        /// The table's name.
        array: String,
        /// What it should have.
        expected: Vec<usize>,
        /// What it has.
        actual: Vec<usize>,
    },
    /// A number is NaN or infinite.
    NotFinite {
        /// The table's name.
        array: String,
    },
}

impl CheckpointHeader {
    /// The header of an agent at this point of its run.
    pub fn new(progress: RunProgress, agent: &AgentState) -> Self {
        let AgentState { policy_updates, critic_updates, losses, .. } = *agent;
        Self { format_version: FORMAT_VERSION, progress, policy_updates, critic_updates, losses }
    }
}

/// The stems of the networks and their targets: what model files are called.
pub fn model_layouts(spec: &AgentSpec) -> impl Iterator<Item = (String, &MlpLayout)> {
    let suffixes = [ONLINE, TARGET].into_iter();
    suffixes.flat_map(|suffix| {
        spec.layouts().into_iter().map(move |layout| (format!("{}{suffix}", layout.name()), layout))
    })
}

/// Every table of an agent.
pub fn named_arrays<'a>(spec: &AgentSpec, agent: &'a AgentState) -> Vec<NamedArray<'a>> {
    let mut arrays = Vec::new();
    for (n, layout) in spec.layouts().into_iter().enumerate() {
        let (network, target, moments) = (&agent.networks[n], &agent.targets[n], &agent.moments[n]);
        for tensor in layout.tensors() {
            let mut add = |suffix, buffer: &'a [f32]| {
                let values = &buffer[tensor.range.clone()];
                arrays.push(NamedArray {
                    name: renamed(layout, &tensor, suffix),
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

/// The agent that [`named_arrays`] and a header were made from; `find` gives a table by its name. Tables of other names are
/// not looked at.
///
/// # Errors
/// An unknown format, or a table that is missing, has another shape than `spec`'s networks, or holds a number that
/// is not finite.
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
            let mut fill = |suffix, buffer: &mut [f32]| {
                copy_array(&mut find, renamed(layout, &tensor, suffix), &tensor, buffer)
            };
            match tensor.buffer {
                WeightBuffer::RunningStats => {
                    fill(ONLINE, &mut network.running_stats)?;
                    fill(TARGET, &mut target.running_stats)?;
                }
                WeightBuffer::Parameters => {
                    fill(ONLINE, &mut network.parameters)?;
                    fill(TARGET, &mut target.parameters)?;
                    fill(ADAM_FIRST, &mut moments.first)?;
                    fill(ADAM_SECOND, &mut moments.second)?;
                }
            }
        }
    }
    Ok(agent)
}

/// One network, from the tables of its model file; as [`restore_agent`] else.
///
/// # Errors
/// As [`restore_agent`]'s, of these tables.
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

/// Copies a table to its place in a buffer.
fn copy_array<'a>(
    find: &mut impl FnMut(&str) -> Option<NamedArray<'a>>,
    table: String,
    tensor: &NamedTensor,
    buffer: &mut [f32],
) -> Result<(), CheckpointError> {
    let kept = find(&table).ok_or_else(|| CheckpointError::Missing { array: table.clone() })?;
    let length = kept.values.len();
    if kept.shape != tensor.shape || length != tensor.range.len() {
        let (expected, found) = (tensor.shape.clone(), kept.shape);
        return Err(CheckpointError::Shape { array: table, expected, actual: found });
    }
    if !kept.values.iter().all(|x| x.is_finite()) {
        return Err(CheckpointError::NotFinite { array: table });
    }
    buffer[tensor.range.clone()].copy_from_slice(kept.values);
    Ok(())
}

/// The tensor's name with a suffix to its network's.
fn renamed(layout: &MlpLayout, tensor: &NamedTensor, suffix: &str) -> String {
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
            Self::Format { version: found } => {
                write!(f, "format version {found} is not known: this version reads {FORMAT_VERSION}")
            }
            Self::Missing { array: table } => write!(f, "`{table}` is missing"),
            Self::Shape { array: table, expected, actual: found } => {
                write!(f, "`{table}` has shape {found:?} where the configuration asks for {expected:?}")
            }
            Self::NotFinite { array: table } => write!(f, "`{table}` holds a number that is not finite"),
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
        let recipe =
            SyntheticWorldConfig { users: 2, items: 40, clusters: 2, dimensions: 2, pretrained_len: 40, seed: 0 };
        let mut config = Config::default();
        config.td3.hidden_sizes = alloc::vec![3, 2];
        config.plan(&generate(&recipe, brute_force_lists).view().unwrap()).unwrap().agent
    }

    /// An agent no two of whose numbers are equal.
    fn agent(spec: &AgentSpec) -> AgentState {
        let mut agent = spec.initial_agent(1);
        let mut number = 0.0;
        let weights = agent.networks.iter_mut().chain(&mut agent.targets);
        let buffers = weights.flat_map(|weights| [&mut weights.parameters, &mut weights.running_stats]);
        let moments = agent.moments.iter_mut().flat_map(|moments| [&mut moments.first, &mut moments.second]);
        for value in buffers.chain(moments).flatten() {
            number += 1.0;
            *value = number;
        }
        (agent.policy_updates, agent.critic_updates) = (3, 7);
        agent.losses = Losses { critic_updates: 2, critic_loss: 0.1, ..Losses::default() };
        agent
    }

    #[test]
    fn an_agent_comes_back_as_it_was() {
        let spec = spec();
        let agent = agent(&spec);
        let header = CheckpointHeader::new(RunProgress::default(), &agent);
        let kept: BTreeMap<_, _> = named_arrays(&spec, &agent).into_iter().map(|t| (t.name.clone(), t)).collect();
        assert_eq!(kept.len(), named_arrays(&spec, &agent).len(), "no name stands for two tables");
        assert_eq!(restore_agent(&header, &spec, |name| kept.get(name).cloned()), Ok(agent));
    }

    #[test]
    fn a_model_is_a_network_of_the_agent() {
        let spec = spec();
        let agent = agent(&spec);
        let find = |name: &str| named_arrays(&spec, &agent).into_iter().find(|table| table.name == name);
        for (layout, network) in spec.layouts().into_iter().zip(&agent.networks) {
            assert_eq!(restore_model(layout, find).as_ref(), Ok(network));
        }
        let missing = restore_model(&spec.actor, |_| None);
        assert!(matches!(missing, Err(CheckpointError::Missing { array }) if array.starts_with("actor.")));
    }

    #[test]
    fn what_is_missing_misshapen_or_not_a_number_is_refused_by_name() {
        let spec = spec();
        let agent = agent(&spec);
        let header = CheckpointHeader::new(RunProgress::default(), &agent);
        let first = named_arrays(&spec, &agent).swap_remove(0);
        let outcome = |table: Option<NamedArray<'static>>| {
            let agent = &agent;
            restore_agent(&header, &spec, |name| {
                if name == first.name {
                    table.clone()
                } else {
                    named_arrays(&spec, agent).into_iter().find(|t| t.name == name)
                }
            })
        };
        assert_eq!(outcome(None), Err(CheckpointError::Missing { array: first.name.clone() }));
        let (name, expected) = (first.name.clone(), first.shape.clone());
        let flat = NamedArray { name: name.clone(), shape: alloc::vec![1], values: &[1.0] };
        let found = alloc::vec![1];
        assert_eq!(
            outcome(Some(flat)),
            Err(CheckpointError::Shape { array: name.clone(), expected, actual: found })
        );
        let values: &'static [f32] = &[f32::NAN; 12];
        let nan = NamedArray { name: name.clone(), shape: first.shape.clone(), values };
        assert_eq!(outcome(Some(nan)), Err(CheckpointError::NotFinite { array: name }));
        let unknown = CheckpointHeader { format_version: FORMAT_VERSION + 1, ..header };
        assert_eq!(restore_agent(&unknown, &spec, |_| None), Err(CheckpointError::Format { version: 2 }));
    }
}
