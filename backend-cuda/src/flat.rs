//! Where networks lie: all numbers of all of them in one buffer, so that one pass over it is one pass over all. Each begins
//! where tensor cores like matrices to begin; what lies between two of them is 0, and stays it.

use std::ops::Range;

use recsim_core::td3::net::MlpLayout;
use recsim_core::td3::{AgentSpec, Network};

/// The parameters of actor and critics, one after the other, and then their statistics likewise.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    parameters: [Range<usize>; 3],
    statistics: [Range<usize>; 3],
}

impl Flat {
    pub(crate) fn new(spec: &AgentSpec) -> Self {
        let mut end = 0;
        let mut take = |length: usize| {
            let start = end;
            end = (start + length).next_multiple_of(ALIGNED);
            start..start + length
        };
        let layouts = spec.layouts();
        let parameters = layouts.map(|layout| take(layout.parameter_count()));
        let statistics = layouts.map(|layout| take(layout.running_stats_count()));
        Self { parameters, statistics }
    }

    /// One network's parameters.
    pub(crate) fn parameters(&self, network: usize) -> Range<usize> {
        self.parameters[network].clone()
    }

    /// One network's statistics.
    pub(crate) fn statistics(&self, network: usize) -> Range<usize> {
        self.statistics[network].clone()
    }

    /// Numbers up to the last that the optimizer moves.
    pub(crate) fn all_parameters(&self) -> usize {
        self.parameters[2].end
    }

    /// All numbers.
    pub(crate) fn len(&self) -> usize {
        self.statistics[2].end
    }
}

/// Networks of one shape that go side by side: the actor, both critics, or the first of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) layout: &'a MlpLayout,
    pub(crate) flat: &'a Flat,
    /// The first one.
    pub(crate) network: Network,
    /// How many.
    pub(crate) nets: usize,
}

impl Group<'_> {
    /// From one network's parameters to the next one's.
    pub(crate) fn parameters_apart(&self) -> usize {
        self.layout.parameter_count().next_multiple_of(ALIGNED)
    }

    /// From one network's statistics to the next one's.
    pub(crate) fn statistics_apart(&self) -> usize {
        self.layout.running_stats_count().next_multiple_of(ALIGNED)
    }

    /// Their parameters, one network after the other.
    pub(crate) fn parameters(&self) -> Range<usize> {
        let first = self.network as usize;
        self.flat.parameters[first].start..self.flat.parameters[first + self.nets - 1].end
    }

    /// Where the first one's statistics begin.
    pub(crate) fn statistics(&self) -> usize {
        self.flat.statistics[self.network as usize].start
    }
}

/// Numbers: 16 bytes.
const ALIGNED: usize = 4;
