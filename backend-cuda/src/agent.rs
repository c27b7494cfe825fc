//! The agent on the device.

use recsim_core::backend::Pending;
use recsim_core::td3::net::{MlpLayout, Weights};
use recsim_core::td3::{AgentSpec, AgentState, Losses, Moments};

use crate::ffi::Device;
use crate::ffi::learning::{UPDATE_PARAMS_BYTES, UPDATE_REPORT_BYTES, num_counters, partial_bytes, partial_len};
use crate::ffi::simulation::WORD_BYTES;
use crate::launch_graph::LaunchGraph;
use crate::packed::{NetworkGroup, PackedLayout};
use crate::pass::{BackwardScratch, MlpPass};
use crate::rerank::Reranker;
use crate::transfer::{download, download_pending, upload};
use crate::{CudaError, sources};

/// Networks, targets, optimizer, and the buffers of inference and updates.
pub struct Agent<D: Device> {
    /// Number of this agent among those loaded by its backend: the key of its launch graphs.
    pub(crate) number: u64,
    pub(crate) spec: AgentSpec,
    pub(crate) packed: PackedLayout,
    pub(crate) mlp: D::Module,
    pub(crate) td3: D::Module,
    pub(crate) adam: D::Module,
    /// Parameters and running statistics of all networks, packed.
    pub(crate) networks: D::DeviceBuffer,
    /// Those of the targets, packed.
    pub(crate) targets: D::DeviceBuffer,
    /// Adam's first and second moments of all parameters, packed.
    pub(crate) moments: [D::DeviceBuffer; 2],
    pub(crate) grad: D::DeviceBuffer,
    pub(crate) policy_updates: u64,
    pub(crate) critic_updates: u64,
    /// Critic updates and policy updates since the losses were last taken.
    pub(crate) reported: [u64; 2],
    /// `update.cuh`, `UpdateParams`.
    pub(crate) update_params: D::DeviceBuffer,
    /// `update.cuh`, `UpdateReport`.
    pub(crate) report: D::DeviceBuffer,
    /// The actor's pass over a tile of users.
    pub(crate) inference: MlpPass<D>,
    /// Critic re-ranking; `None` without candidates.
    pub(crate) reranker: Option<Reranker<D>>,
    pub(crate) workspace: UpdateWorkspace<D>,
    /// The launches of the critics' and of the actor's step.
    pub(crate) steps: [LaunchGraph<D>; 2],
}

/// The buffers of an update. `input` and `next` are critics' inputs, `[rows, K + D + D]`.
pub(crate) struct UpdateWorkspace<D: Device> {
    pub(crate) input: D::DeviceBuffer,
    pub(crate) next: D::DeviceBuffer,
    /// `[rows]`
    pub(crate) reward: D::DeviceBuffer,
    /// Pass through the actor and through its target.
    pub(crate) actor: MlpPass<D>,
    pub(crate) critics: MlpPass<D>,
    pub(crate) target_critics: MlpPass<D>,
    pub(crate) scratch: BackwardScratch<D>,
}

impl<D: Device> Agent<D> {
    /// Loads an agent and compiles its kernels. `number` differs between the agents of a backend.
    ///
    /// # Errors
    /// The kernels cannot be compiled, or the device has no memory.
    pub(crate) fn new(device: &D, number: u64, spec: &AgentSpec, state: &AgentState) -> Result<Self, CudaError> {
        let packed = PackedLayout::new(spec);
        let constants = [("K", spec.state_dim() - spec.action_dim()), ("D", spec.action_dim())];
        let module = |unit, constants: &[_]| device.load_module(unit, &sources::unit_source(unit), constants);
        let parameters_bytes = packed.parameters_len() * WORD_BYTES;
        let moments = |of: fn(&Moments) -> &Vec<f32>| {
            let mut all = vec![0.0; packed.parameters_len()];
            for (n, moments) in state.moments.iter().enumerate() {
                all[packed.parameters(n)].copy_from_slice(of(moments));
            }
            upload(device, "optimizer's moments", &all)
        };
        Ok(Self {
            number,
            mlp: module("mlp.cu", &[])?,
            td3: module("td3.cu", &constants)?,
            adam: module("adam.cu", &[])?,
            networks: upload(device, "networks", &pack_weights(&packed, &state.networks))?,
            targets: upload(device, "target networks", &pack_weights(&packed, &state.targets))?,
            moments: [moments(|moments| &moments.first)?, moments(|moments| &moments.second)?],
            grad: device.alloc_zeros("gradients", parameters_bytes)?,
            policy_updates: state.policy_updates,
            critic_updates: state.critic_updates,
            reported: [state.losses.critic_updates, state.losses.policy_updates],
            update_params: device.alloc_zeros("update's parameters", UPDATE_PARAMS_BYTES)?,
            report: upload(device, "losses", &report_sums(&state.losses))?,
            inference: MlpPass::new(device, &NetworkGroup::actor(spec, &packed), device.tile_rows(), false)?,
            reranker: Reranker::new(device, spec, &packed)?,
            workspace: UpdateWorkspace::new(device, spec, &packed)?,
            steps: [LaunchGraph::default(), LaunchGraph::default()],
            spec: spec.clone(),
            packed,
        })
    }

    /// The losses of the updates since the last call. Waits for them.
    ///
    /// # Errors
    /// The copy, or work launched before, fails.
    pub(crate) fn take_losses(&mut self, device: &D) -> Result<Losses, CudaError> {
        let sums = download(device, &self.report, REPORT_SUMS)?;
        device.clear(&mut self.report)?;
        Ok(losses(std::mem::take(&mut self.reported), &sums))
    }

    /// The agent's state after all updates launched so far. Does not wait for them.
    ///
    /// # Errors
    /// The device has no memory for the copies, or a copy cannot be started.
    pub(crate) fn export(&self, device: &D) -> Result<Pending<AgentState, CudaError>, CudaError> {
        let [first, second] = &self.moments;
        let parameters = 0..self.packed.parameters_len();
        let first = download_pending(device, first, parameters.clone())?;
        let second = download_pending(device, second, parameters)?;
        let networks = download_pending(device, &self.networks, 0..self.packed.len())?;
        let targets = download_pending(device, &self.targets, 0..self.packed.len())?;
        let report = download_pending(device, &self.report, 0..REPORT_SUMS)?;
        let (policy_updates, critic_updates) = (self.policy_updates, self.critic_updates);
        let (packed, reported) = (self.packed.clone(), self.reported);
        Ok(Pending::new(move || {
            let (first, second): (Vec<f32>, Vec<f32>) = (first.wait()?, second.wait()?);
            let moments = [0, 1, 2].map(|n| {
                let range = packed.parameters(n);
                Moments { first: first[range.clone()].to_vec(), second: second[range].to_vec() }
            });
            let unpack = |all: Vec<f32>| {
                [0, 1, 2].map(|n| Weights {
                    parameters: all[packed.parameters(n)].to_vec(),
                    running_stats: all[packed.running_stats(n)].to_vec(),
                })
            };
            let (networks, targets) = (unpack(networks.wait()?), unpack(targets.wait()?));
            let losses = losses(reported, &report.wait()?);
            Ok(AgentState { networks, targets, moments, policy_updates, critic_updates, losses })
        }))
    }
}

impl<D: Device> UpdateWorkspace<D> {
    fn new(device: &D, spec: &AgentSpec, packed: &PackedLayout) -> Result<Self, CudaError> {
        let (rows, input_dim) = (spec.batch_size(), spec.state_dim() + spec.action_dim());
        let (actor, critics) = (NetworkGroup::actor(spec, packed), NetworkGroup::critics(spec, packed));
        let layers = || spec.layouts().into_iter().flat_map(MlpLayout::layers);
        let max_width = layers().map(|layer| layer.outputs).max().unwrap_or(1);
        let grad_len = critics.num_nets * rows * max_width.max(input_dim);
        let floats = |name, len: usize| device.alloc_zeros(name, len * WORD_BYTES);
        let partial = (partial_len(&critics, rows, max_width) * WORD_BYTES).max(partial_bytes(device));
        Ok(Self {
            input: floats("minibatch", rows * input_dim)?,
            next: floats("minibatch", rows * input_dim)?,
            reward: floats("minibatch", rows)?,
            actor: MlpPass::new(device, &actor, rows, true)?,
            critics: MlpPass::new(device, &critics, rows, true)?,
            target_critics: MlpPass::new(device, &critics, rows, false)?,
            scratch: BackwardScratch {
                grads: [floats("activations' gradients", grad_len)?, floats("activations' gradients", grad_len)?],
                partial: device.alloc_zeros("partial sums", partial)?,
                blocks_done: floats("block counters", num_counters(&critics, max_width))?,
            },
        })
    }
}

/// The values of `update.cuh`, `UpdateReport`.
fn report_sums(losses: &Losses) -> [f64; REPORT_SUMS + 1] {
    let &Losses { critic_loss, actor_loss, q_value, target_value, .. } = losses;
    let norms = [losses.critic_gradient_norm, losses.actor_gradient_norm];
    [critic_loss, actor_loss, q_value, target_value, norms[0], norms[1], 0.0]
}

/// The losses of these numbers of critic updates and policy updates, from the report's sums.
fn losses([critic_updates, policy_updates]: [u64; 2], sums: &[f64]) -> Losses {
    let &[critic_loss, actor_loss, q_value, target_value, critic_gradient_norm, actor_gradient_norm] = sums else {
        unreachable!("a report has six sums")
    };
    Losses {
        critic_updates,
        policy_updates,
        critic_loss,
        actor_loss,
        q_value,
        target_value,
        critic_gradient_norm,
        actor_gradient_norm,
    }
}

/// The weights of networks, packed.
fn pack_weights(packed: &PackedLayout, networks: &[Weights; 3]) -> Vec<f32> {
    let mut all = vec![0.0; packed.len()];
    for (n, weights) in networks.iter().enumerate() {
        all[packed.parameters(n)].copy_from_slice(&weights.parameters);
        all[packed.running_stats(n)].copy_from_slice(&weights.running_stats);
    }
    all
}

/// Sums in a report; the clip coefficient follows them.
const REPORT_SUMS: usize = UPDATE_REPORT_BYTES / 8 - 1;
