//! `models/*.safetensors`: networks by the names PyTorch would give their tensors.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use recsim_core::checkpoint::{FORMAT_VERSION, Table, models, tables};
use recsim_core::config::Plan;
use recsim_core::net::Layout;
use recsim_core::td3::AgentState;
use safetensors::{Dtype, View};
use serde_json::json;

use super::atomic::Replacement;

/// Writes the three networks and their targets into `folder`: none is replaced before all are on the disk.
pub(crate) fn write(folder: &Path, plan: &Plan, agent: &AgentState) -> anyhow::Result<()> {
    let learner = &plan.learner;
    let tables = tables(learner, agent);
    let mut replacements = Vec::new();
    for (stem, layout) in models(learner) {
        let of_stem = |table: &&Table<'_>| table.name.split_once('.').is_some_and(|(prefix, _)| prefix == stem);
        let views = tables.iter().filter(of_stem).map(|table| (&*table.name, Tensor(table)));
        let bytes = safetensors::serialize(views, Some(metadata(layout, plan))).map_err(io::Error::other)?;
        let path = folder.join(format!("{stem}.safetensors"));
        replacements.push(Replacement::write(&path, |file| file.write_all(&bytes))?);
    }
    replacements.into_iter().try_for_each(Replacement::commit)
}

/// What a reader needs to build the network. One entry: a map of several would come out in another order every time.
fn metadata(layout: &Layout, plan: &Plan) -> HashMap<String, String> {
    let learner = &plan.learner;
    let mut widths = vec![layout.inputs()];
    widths.extend(layout.layers().iter().map(|layer| layer.outputs));
    let about = json!({
        "format_version": FORMAT_VERSION,
        "network": layout.name(),
        "widths": widths,
        "batch_norm": layout.statistics() > 0,
        "dropout": learner.dropout,
        "max_action": learner.max_action,
        // What it sees of a belief.
        "beliefs": if plan.environment.scale_beliefs { "divided by the target" } else { "as they are" },
    });
    HashMap::from([("recsim".to_owned(), about.to_string())])
}

/// A table as safetensors wants it.
pub(crate) struct Tensor<'a>(pub(crate) &'a Table<'a>);

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.0.values)
    }
}
