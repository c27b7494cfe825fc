//! The layout of all networks in one packed buffer, so that one kernel launch handles all parameters. Each network
//! starts at a multiple of 16 bytes, as tensor cores prefer. The elements between two networks stay 0.

use std::ops::Range;

use recsim_core::td3::net::MlpLayout;
use recsim_core::td3::{AgentSpec, Network};

/// Offsets of the actor's and the critics' parameters, one network after another, and then of their running
/// statistics.
#[derive(Clone, Debug)]
pub(crate) struct PackedLayout {
    parameters: [Range<usize>; 3],
    running_stats: [Range<usize>; 3],
}

impl PackedLayout {
    pub(crate) fn new(spec: &AgentSpec) -> Self {
        let mut end = 0;
        let mut append = |len: usize| {
            let start = end;
            end = (start + len).next_multiple_of(ALIGNMENT);
            start..start + len
        };
        let layouts = spec.layouts();
        let parameters = layouts.map(|layout| append(layout.parameter_count()));
        let running_stats = layouts.map(|layout| append(layout.running_stats_count()));
        Self { parameters, running_stats }
    }

    /// The parameters of one network, by [`Network`]'s index.
    pub(crate) fn parameters(&self, network: usize) -> Range<usize> {
        self.parameters[network].clone()
    }

    /// The running statistics of one network, by [`Network`]'s index.
    pub(crate) fn running_stats(&self, network: usize) -> Range<usize> {
        self.running_stats[network].clone()
    }

    /// Length of a buffer of all parameters.
    pub(crate) fn parameters_len(&self) -> usize {
        self.parameters[2].end
    }

    /// Length of a buffer of all parameters and running statistics.
    pub(crate) fn len(&self) -> usize {
        self.running_stats[2].end
    }
}

/// Networks of one layout that are evaluated together: the actor, both critics, or the first critic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetworkGroup<'a> {
    pub(crate) layout: &'a MlpLayout,
    pub(crate) packed: &'a PackedLayout,
    /// The first network.
    pub(crate) first: Network,
    /// Number of networks.
    pub(crate) num_nets: usize,
}

impl<'a> NetworkGroup<'a> {
    /// The actor alone.
    pub(crate) fn actor(spec: &'a AgentSpec, packed: &'a PackedLayout) -> Self {
        Self { layout: &spec.actor, packed, first: Network::Actor, num_nets: 1 }
    }

    /// Both critics.
    pub(crate) fn critics(spec: &'a AgentSpec, packed: &'a PackedLayout) -> Self {
        Self { layout: &spec.critics[0], packed, first: Network::Critic1, num_nets: 2 }
    }

    /// The first critic alone.
    pub(crate) fn first_critic(spec: &'a AgentSpec, packed: &'a PackedLayout) -> Self {
        Self { num_nets: 1, ..Self::critics(spec, packed) }
    }

    /// Elements from one network's parameters to the next one's.
    pub(crate) fn parameters_stride(&self) -> usize {
        self.layout.parameter_count().next_multiple_of(ALIGNMENT)
    }

    /// Elements from one network's running statistics to the next one's.
    pub(crate) fn running_stats_stride(&self) -> usize {
        self.layout.running_stats_count().next_multiple_of(ALIGNMENT)
    }

    /// The range of all networks' parameters.
    pub(crate) fn parameters(&self) -> Range<usize> {
        let first = self.first as usize;
        self.packed.parameters[first].start..self.packed.parameters[first + self.num_nets - 1].end
    }

    /// The offset of the first network's running statistics.
    pub(crate) fn running_stats_offset(&self) -> usize {
        self.packed.running_stats[self.first as usize].start
    }
}

/// In elements: 16 bytes.
const ALIGNMENT: usize = 4;
