//! `models/*.safetensors`: networks by the names PyTorch would give their tensors.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use recsim_core::net::{Buffer, Layout, NamedTensor, Weights};
use recsim_core::td3::{AgentState, Learner};
use safetensors::{Dtype, View};
use serde_json::json;

use super::atomic;

/// Writes the three networks and their targets into `folder`, each whole or not at all.
pub(crate) fn write(folder: &Path, learner: &Learner, agent: &AgentState) -> anyhow::Result<()> {
    let layouts = [&learner.actor, &learner.critics[0], &learner.critics[1]];
    for (n, layout) in layouts.into_iter().enumerate() {
        for (weights, suffix) in [(&agent.networks[n], ""), (&agent.targets[n], "_target")] {
            let path = folder.join(format!("{}{suffix}.safetensors", layout.name()));
            let bytes = serialise(layout, weights, learner)?;
            atomic::replace(&path, |file| file.write_all(&bytes))?;
        }
    }
    Ok(())
}

fn serialise(layout: &Layout, weights: &Weights, learner: &Learner) -> anyhow::Result<Vec<u8>> {
    let mut widths = vec![layout.inputs()];
    widths.extend(layout.layers().iter().map(|layer| layer.outputs));
    let about = json!({
        "format_version": FORMAT_VERSION,
        "network": layout.name(),
        "widths": widths,
        "batch_norm": layout.statistics() > 0,
        "dropout": learner.dropout,
        "max_action": learner.max_action,
    });
    // One entry: a map of several would come out in another order every time.
    let metadata = HashMap::from([("recsim".to_owned(), about.to_string())]);
    let tensors = layout.tensors();
    let views = tensors.iter().map(|tensor| (&*tensor.name, Tensor { tensor, weights }));
    Ok(safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)?)
}

/// A named part of a network's buffers.
struct Tensor<'a> {
    tensor: &'a NamedTensor,
    weights: &'a Weights,
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let buffer = match self.tensor.buffer {
            Buffer::Parameters => &self.weights.parameters,
            Buffer::Statistics => &self.weights.statistics,
        };
        buffer[self.tensor.range.clone()].iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        self.tensor.range.len() * size_of::<f32>()
    }
}

/// Raised when what is in these files changes its meaning.
const FORMAT_VERSION: u32 = 1;
