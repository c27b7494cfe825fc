//! The agent on the device.

use recsim_core::backend::Pending;
use recsim_core::td3::net::{MlpLayout, Weights};
use recsim_core::td3::{AgentSpec, AgentState, Losses, Moments, Network};

use crate::ffi::Machine;
use crate::ffi::kernels::WORD;
use crate::ffi::learning::{REPORT, UPDATE, counters, partial_bytes, partial_numbers};
use crate::flat::{Flat, Group};
use crate::pass::{Pass, Scratch};
use crate::recording::Recording;
use crate::refine::Refine;
use crate::table::{later, numbers, table};
use crate::{CudaError, sources};

/// Networks, targets, optimizer, and room for inference and an update.
pub struct Agent<M: Machine> {
    /// Which of the agents made on this device it is.
    pub(crate) number: u64,
    pub(crate) spec: AgentSpec,
    pub(crate) flat: Flat,
    pub(crate) mlp: M::Module,
    pub(crate) td3: M::Module,
    pub(crate) adam: M::Module,
    /// All networks' numbers, as [`Flat`] has them.
    pub(crate) networks: M::Memory,
    /// Their targets', likewise.
    pub(crate) targets: M::Memory,
    /// Adam's moments of all parameters.
    pub(crate) moments: [M::Memory; 2],
    pub(crate) gradient: M::Memory,
    pub(crate) policy_updates: u64,
    pub(crate) critic_updates: u64,
    /// Updates since it was last asked for losses: critics', policy's.
    pub(crate) reported: [u64; 2],
    /// `update.cuh`'s `Update` and `Report`.
    pub(crate) update: M::Memory,
    pub(crate) report: M::Memory,
    /// Room for a tile of users on their way through the actor.
    pub(crate) inference: Pass<M>,
    /// Room for a tile of users whose candidates the critic is asked about, if it is.
    pub(crate) refine: Option<Refine<M>>,
    pub(crate) room: Room<M>,
    /// Both steps: the critics', the policy's.
    pub(crate) steps: [Recording<M>; 2],
}

/// What an update works on; `[rows, K + D + D]` a critic's input.
pub(crate) struct Room<M: Machine> {
    pub(crate) input: M::Memory,
    pub(crate) next: M::Memory,
    /// `[rows]`
    pub(crate) reward: M::Memory,
    /// Through the actor and its target.
    pub(crate) actor: Pass<M>,
    /// Through the critics.
    pub(crate) critics: Pass<M>,
    /// Through their targets.
    pub(crate) target_critics: Pass<M>,
    pub(crate) scratch: Scratch<M>,
}

impl<M: Machine> Agent<M> {
    pub(crate) fn new(machine: &M, number: u64, spec: &AgentSpec, state: &AgentState) -> Result<Self, CudaError> {
        let flat = Flat::new(spec);
        let constants = [("K", spec.state_dim() - spec.action_dim()), ("D", spec.action_dim())];
        let module = |unit, constants: &[_]| machine.module(unit, &sources::unit(unit), constants);
        let parameters = flat.all_parameters() * WORD;
        let moments = |of: fn(&Moments) -> &Vec<f32>| {
            let mut all = vec![0.0; flat.all_parameters()];
            for (n, moments) in state.moments.iter().enumerate() {
                all[flat.parameters(n)].copy_from_slice(of(moments));
            }
            table(machine, "moments", &all)
        };
        Ok(Self {
            number,
            mlp: module("mlp.cu", &[])?,
            td3: module("td3.cu", &constants)?,
            adam: module("adam.cu", &[])?,
            networks: table(machine, "networks", &joined(&flat, &state.networks))?,
            targets: table(machine, "targets", &joined(&flat, &state.targets))?,
            moments: [moments(|moments| &moments.first)?, moments(|moments| &moments.second)?],
            gradient: machine.zeros("gradients", parameters)?,
            policy_updates: state.policy_updates,
            critic_updates: state.critic_updates,
            reported: [state.losses.critic_updates, state.losses.policy_updates],
            update: machine.zeros("an update", UPDATE)?,
            report: table(machine, "losses", &report(&state.losses))?,
            inference: Pass::new(machine, &actor(spec, &flat), machine.tile(), false)?,
            refine: Refine::new(machine, spec, &flat)?,
            room: Room::new(machine, spec, &flat)?,
            steps: [Recording::default(), Recording::default()],
            spec: spec.clone(),
            flat,
        })
    }

    /// What the updates since the last call reported.
    pub(crate) fn losses(&mut self, machine: &M) -> Result<Losses, CudaError> {
        let sums = numbers(machine, &self.report, NUMBERS)?;
        machine.clear(&mut self.report)?;
        Ok(losses(std::mem::take(&mut self.reported), &sums))
    }

    pub(crate) fn export(&self, machine: &M) -> Result<Pending<AgentState, CudaError>, CudaError> {
        let [first, second] = &self.moments;
        let parameters = self.flat.all_parameters();
        let (first, second) = (later(machine, first, 0..parameters)?, later(machine, second, 0..parameters)?);
        let networks = later(machine, &self.networks, 0..self.flat.len())?;
        let targets = later(machine, &self.targets, 0..self.flat.len())?;
        let report = later(machine, &self.report, 0..NUMBERS)?;
        let (policy_updates, critic_updates, flat) = (self.policy_updates, self.critic_updates, self.flat.clone());
        let reported = self.reported;
        Ok(Pending::new(move || {
            let (first, second): (Vec<f32>, Vec<f32>) = (first.wait()?, second.wait()?);
            let moments = [0, 1, 2].map(|n| {
                let range = flat.parameters(n);
                Moments { first: first[range.clone()].to_vec(), second: second[range].to_vec() }
            });
            let split = |all: Vec<f32>| {
                [0, 1, 2].map(|n| Weights {
                    parameters: all[flat.parameters(n)].to_vec(),
                    running_stats: all[flat.statistics(n)].to_vec(),
                })
            };
            let (networks, targets) = (split(networks.wait()?), split(targets.wait()?));
            let losses = losses(reported, &report.wait()?);
            Ok(AgentState { networks, targets, moments, policy_updates, critic_updates, losses })
        }))
    }
}

/// `update.cuh`'s `Report`.
fn report(losses: &Losses) -> [f64; NUMBERS + 1] {
    let &Losses { critic_loss, actor_loss, q_value, target_value, .. } = losses;
    let norms = [losses.critic_gradient_norm, losses.actor_gradient_norm];
    [critic_loss, actor_loss, q_value, target_value, norms[0], norms[1], 0.0]
}

/// What so many updates of critics and policy reported.
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

/// Sums in a report; what the gradient is multiplied by follows.
const NUMBERS: usize = REPORT / 8 - 1;

impl<M: Machine> Room<M> {
    fn new(machine: &M, spec: &AgentSpec, flat: &Flat) -> Result<Self, CudaError> {
        let (rows, input) = (spec.batch_size(), spec.state_dim() + spec.action_dim());
        let (actor, critics) = (actor(spec, flat), critics(spec, flat));
        let layers = || spec.layouts().into_iter().flat_map(MlpLayout::layers);
        let widest = layers().map(|layer| layer.outputs).max().unwrap_or(1);
        let slope = critics.nets * rows * widest.max(input);
        let numbers = |table, count: usize| machine.zeros(table, count * WORD);
        let partial = (partial_numbers(&critics, rows, widest) * WORD).max(partial_bytes(machine));
        Ok(Self {
            input: numbers("sampled transitions", rows * input)?,
            next: numbers("sampled transitions", rows * input)?,
            reward: numbers("sampled transitions", rows)?,
            actor: Pass::new(machine, &actor, rows, true)?,
            critics: Pass::new(machine, &critics, rows, true)?,
            target_critics: Pass::new(machine, &critics, rows, false)?,
            scratch: Scratch {
                slopes: [numbers("slopes", slope)?, numbers("slopes", slope)?],
                partial: machine.zeros("sums", partial)?,
                done: numbers("sums", counters(&critics, widest))?,
            },
        })
    }
}

/// The actor's group.
pub(crate) fn actor<'a>(spec: &'a AgentSpec, flat: &'a Flat) -> Group<'a> {
    Group { layout: &spec.actor, flat, network: Network::Actor, nets: 1 }
}

/// Both critics'.
pub(crate) fn critics<'a>(spec: &'a AgentSpec, flat: &'a Flat) -> Group<'a> {
    Group { layout: &spec.critics[0], flat, network: Network::Critic1, nets: 2 }
}

/// The numbers of networks as [`Flat`] has them.
fn joined(flat: &Flat, networks: &[Weights; 3]) -> Vec<f32> {
    let mut all = vec![0.0; flat.len()];
    for (n, weights) in networks.iter().enumerate() {
        all[flat.parameters(n)].copy_from_slice(&weights.parameters);
        all[flat.statistics(n)].copy_from_slice(&weights.running_stats);
    }
    all
}
