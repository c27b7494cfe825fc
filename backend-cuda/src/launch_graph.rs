//! A sequence of launches that is captured once and then launched as a graph.

use crate::CudaError;
use crate::ffi::Device;

/// A graph of launches, and the key of what they were captured for.
pub(crate) struct LaunchGraph<D: Device> {
    graph: Option<D::Graph>,
    key: Vec<u64>,
}

impl<D: Device> Default for LaunchGraph<D> {
    fn default() -> Self {
        Self { graph: None, key: Vec::new() }
    }
}

impl<D: Device> LaunchGraph<D> {
    /// Runs what `launches` launches. The launches and their arguments must be the same for every call with the same
    /// `key`; a new `key` discards the graph.
    ///
    /// # Errors
    /// A launch or the capture fails.
    pub(crate) fn launch(
        &mut self,
        device: &D,
        key: Vec<u64>,
        launches: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        if self.key != key {
            *self = Self { graph: None, key };
        }
        device.launch_graph(&mut self.graph, launches)
    }
}
