//! The agent on the device.

use recsim_core::metrics::Losses;
use recsim_core::net::{Layout, Weights};
use recsim_core::td3::{AgentState, Learner, Moments, Network};

use crate::CudaError;
use crate::ffi::Machine;
use crate::ffi::kernels::WORD;
use crate::ffi::learning::{REPORT, UPDATE, counters, partial_bytes, partial_numbers};
use crate::flat::{Flat, Group};
use crate::pass::{Pass, Scratch};
use crate::sources;
use crate::table::{numbers, table};

/// Networks, targets, optimizer, and room for an update.
pub struct Agent<M: Machine> {
    pub(crate) learner: Learner,
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
    pub(crate) room: Room<M>,
    /// The launches of both steps, and the addresses that they were recorded with.
    pub(crate) kept: [Option<M::Sequence>; 2],
    pub(crate) kept_for: Vec<u64>,
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
    pub(crate) fn new(machine: &M, learner: &Learner, state: &AgentState) -> Result<Self, CudaError> {
        let flat = Flat::new(learner);
        let constants = [("K", learner.state() - learner.action()), ("D", learner.action())];
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
            mlp: module("mlp.cu", &[])?,
            td3: module("td3.cu", &constants)?,
            adam: module("adam.cu", &[])?,
            networks: table(machine, "networks", &joined(&flat, &state.networks))?,
            targets: table(machine, "targets", &joined(&flat, &state.targets))?,
            moments: [moments(|moments| &moments.first)?, moments(|moments| &moments.second)?],
            gradient: machine.zeros("gradients", parameters)?,
            policy_updates: state.policy_updates,
            critic_updates: state.critic_updates,
            reported: [0; 2],
            update: machine.zeros("an update", UPDATE)?,
            report: machine.zeros("losses", REPORT)?,
            room: Room::new(machine, learner, &flat)?,
            kept: [None, None],
            kept_for: Vec::new(),
            learner: learner.clone(),
            flat,
        })
    }

    /// What the updates since the last call reported.
    pub(crate) fn losses(&mut self, machine: &M) -> Result<Losses, CudaError> {
        let sums: Vec<f64> = numbers(machine, &self.report, REPORT / 8 - 1)?;
        machine.clear(&mut self.report)?;
        let [critic_updates, policy_updates] = std::mem::take(&mut self.reported);
        let &[critic_loss, actor_loss, q_value, target_value, critic_gradient_norm, actor_gradient_norm] =
            &sums[..]
        else {
            unreachable!("a report has six sums")
        };
        Ok(Losses {
            critic_updates,
            policy_updates,
            critic_loss,
            actor_loss,
            q_value,
            target_value,
            critic_gradient_norm,
            actor_gradient_norm,
        })
    }

    pub(crate) fn export(&self, machine: &M) -> Result<AgentState, CudaError> {
        let read = |table: &M::Memory, count| numbers::<M, f32>(machine, table, count);
        let split = |all: Vec<f32>| {
            [0, 1, 2].map(|n| Weights {
                parameters: all[self.flat.parameters(n)].to_vec(),
                statistics: all[self.flat.statistics(n)].to_vec(),
            })
        };
        let [first, second] = &self.moments;
        let parameters = self.flat.all_parameters();
        let (first, second) = (read(first, parameters)?, read(second, parameters)?);
        Ok(AgentState {
            networks: split(read(&self.networks, self.flat.len())?),
            targets: split(read(&self.targets, self.flat.len())?),
            moments: [0, 1, 2].map(|n| {
                let range = self.flat.parameters(n);
                Moments { first: first[range.clone()].to_vec(), second: second[range].to_vec() }
            }),
            policy_updates: self.policy_updates,
            critic_updates: self.critic_updates,
        })
    }
}

impl<M: Machine> Room<M> {
    fn new(machine: &M, learner: &Learner, flat: &Flat) -> Result<Self, CudaError> {
        let (rows, input) = (learner.batch_size, learner.state() + learner.action());
        let (actor, critics) = (actor(learner, flat), critics(learner, flat));
        let layers = || learner.layouts().into_iter().flat_map(Layout::layers);
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
pub(crate) fn actor<'a>(learner: &'a Learner, flat: &'a Flat) -> Group<'a> {
    Group { layout: &learner.actor, flat, network: Network::Actor, nets: 1 }
}

/// Both critics'.
pub(crate) fn critics<'a>(learner: &'a Learner, flat: &'a Flat) -> Group<'a> {
    Group { layout: &learner.critics[0], flat, network: Network::Critic1, nets: 2 }
}

/// The numbers of networks as [`Flat`] has them.
fn joined(flat: &Flat, networks: &[Weights; 3]) -> Vec<f32> {
    let mut all = vec![0.0; flat.len()];
    for (n, weights) in networks.iter().enumerate() {
        all[flat.parameters(n)].copy_from_slice(&weights.parameters);
        all[flat.statistics(n)].copy_from_slice(&weights.statistics);
    }
    all
}
