//! `models/*.safetensors`: networks, with the tensor names that PyTorch would use.
//!
//! The file's metadata has one entry, `recsim`: a JSON object that describes the network and contains the file's
//! checksum.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use recsim_core::session::checkpoint::{NamedArray, model_layouts, named_arrays};
use recsim_core::session::config::Plan;
use recsim_core::td3::AgentState;
use recsim_core::td3::net::MlpLayout;
use safetensors::{Dtype, SafeTensors, View};
use serde_json::{Map, Value, json};

use super::atomic::Replacement;
use super::embedded_checksum;
use super::tensors::{self, TensorMap};

/// Writes the three networks and their targets into `folder`. Replaces no file before all are on the disk.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write(folder: &Path, plan: &Plan, agent: &AgentState) -> anyhow::Result<()> {
    let spec = &plan.agent;
    let arrays = named_arrays(spec, agent);
    let mut replacements = Vec::new();
    for (stem, layout) in model_layouts(spec) {
        let of_stem =
            |array: &&NamedArray<'_>| array.name.split_once('.').is_some_and(|(prefix, _)| prefix == stem);
        let views = arrays.iter().filter(of_stem).map(|array| (&*array.name, ArrayView(array)));
        let mut description = description(layout, plan);
        description.insert(CHECKSUM.to_owned(), embedded_checksum::ZEROS.into());
        // One entry: a `HashMap` of several has another order in every process.
        let metadata = HashMap::from([(DESCRIPTION.to_owned(), Value::from(description).to_string())]);
        let mut bytes = safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)?;
        embedded_checksum::insert(&mut bytes, CHECKSUM_PREFIX);
        let path = folder.join(format!("{stem}.safetensors"));
        replacements.push(Replacement::write(&path, |file| file.write_all(&bytes))?);
    }
    replacements.into_iter().try_for_each(Replacement::commit)
}

/// The content of a model file.
pub(crate) struct Model {
    pub(crate) tensors: TensorMap,
    /// Whether the file has a checksum. Files of format version 1 have none.
    pub(crate) has_checksum: bool,
}

/// Reads the network `layout` of a run with the settings `plan` from the file `path`.
///
/// # Errors
/// What is wrong, in words that follow the file's name: the file is damaged, or describes another network.
pub(crate) fn read(path: &Path, layout: &MlpLayout, plan: &Plan) -> Result<Model, String> {
    parse(&super::read(path).map_err(|error| format!("cannot be read: {error}"))?, layout, plan)
}

/// As [`read`], from the file's bytes.
///
/// # Errors
/// As [`read`].
pub(crate) fn parse(bytes: &[u8], layout: &MlpLayout, plan: &Plan) -> Result<Model, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("is damaged, or no model: {error}");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error))?;
    let text = metadata.metadata().as_ref().and_then(|entries| entries.get(DESCRIPTION));
    let actual: Map<String, Value> = match text {
        Some(text) => serde_json::from_str(text).map_err(|error| damaged(&error))?,
        None => return Err(damaged(&format!("its metadata has no `{DESCRIPTION}`"))),
    };
    let is_sealed = match actual.get("format_version").and_then(Value::as_u64) {
        // A flipped bit cannot turn the digit 2 into 1.
        Some(WITHOUT_CHECKSUM) => false,
        Some(FORMAT_VERSION) if embedded_checksum::matches(bytes, CHECKSUM_PREFIX) => true,
        Some(FORMAT_VERSION) => return Err("was changed or is damaged: it differs from its own checksum".into()),
        Some(other) => return Err(format!("is of format {other}, and this recsim reads {FORMAT_VERSION}")),
        None => return Err(damaged(&"it has no `format_version`")),
    };
    let expected = description(layout, plan);
    let mut described = actual.iter().filter(|(key, _)| !NOT_COMPARED.contains(&&***key));
    let other = described.find(|(key, value)| expected.get(*key).is_some_and(|expected| expected != *value));
    if let Some((key, value)) = other {
        return Err(format!("has `{key}` {value}, where the run's settings ask for {}", expected[key]));
    }
    Ok(Model { tensors: tensors::parse(bytes).map_err(|problem| damaged(&problem))?, has_checksum: is_sealed })
}

/// What a program needs to know to build the network and to use it.
fn description(layout: &MlpLayout, plan: &Plan) -> Map<String, Value> {
    let spec = &plan.agent;
    let mut widths = vec![layout.inputs()];
    widths.extend(layout.layers().iter().map(|layer| layer.outputs));
    let description = json!({
        "format_version": FORMAT_VERSION,
        "network": layout.name(),
        "widths": widths,
        "batch_norm": layout.running_stats_count() > 0,
        "dropout": spec.td3.dropout,
        "max_action": spec.max_action,
        // The form of the beliefs in its input.
        "beliefs": if plan.environment.normalize_beliefs { "divided by the target" } else { "as they are" },
        // How an action is compared with items.
        "similarity": plan.environment.similarity,
    });
    match description {
        Value::Object(description) => description,
        _ => Map::new(),
    }
}

/// Raised when the tensors or the description change their meaning.
const FORMAT_VERSION: u64 = 2;
/// The format version whose files have no checksum.
const WITHOUT_CHECKSUM: u64 = 1;
/// The metadata's entry.
const DESCRIPTION: &str = "recsim";
/// The checksum's key in the description.
const CHECKSUM: &str = "sha256";
/// The file's bytes before the checksum: JSON in a JSON string.
const CHECKSUM_PREFIX: &str = r#"\"sha256\":\""#;
/// Keys that may differ from the run's settings: they do not change what the network computes.
const NOT_COMPARED: [&str; 2] = ["format_version", "dropout"];

/// An array as a safetensors view.
pub(crate) struct ArrayView<'a>(pub(crate) &'a NamedArray<'a>);

impl View for ArrayView<'_> {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use recsim_core::session::checkpoint::restore_model;
    use recsim_core::session::config::Config;
    use recsim_core::world::{SyntheticWorldConfig, brute_force_lists, generate};

    fn plan(change: impl FnOnce(&mut Config)) -> Plan {
        let world =
            SyntheticWorldConfig { users: 2, items: 6, clusters: 2, dimensions: 2, pretrained_len: 4, seed: 0 };
        let mut config = Config::default();
        config.td3.hidden_sizes = vec![2];
        (config.recommendation.total_recommendations, config.recommendation.rl_list_size) = (4, 2);
        change(&mut config);
        config.plan(&generate(&world, brute_force_lists).view().unwrap()).unwrap()
    }

    /// The bytes of an actor's file.
    fn actor(plan: &Plan) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), plan, &plan.agent.initial_agent(3)).unwrap();
        fs::read(folder.path().join("actor.safetensors")).unwrap()
    }

    fn read(bytes: &[u8], plan: &Plan) -> Result<Model, String> {
        parse(bytes, &plan.agent.actor, plan)
    }

    #[test]
    fn model_file_detects_every_flipped_bit_and_truncation() {
        let plan = plan(|_| ());
        let whole = actor(&plan);
        let model = read(&whole, &plan).unwrap_or_else(|problem| panic!("{problem}"));
        let find = |name: &str| tensors::find(&model.tensors, name);
        assert_eq!(restore_model(&plan.agent.actor, find).unwrap(), plan.agent.initial_agent(3).networks[0]);
        assert!(model.has_checksum);
        for bit in 0..8 * whole.len() {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&changed, &plan).is_err_and(|problem| !problem.is_empty()), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(read(&whole[..len], &plan).is_err(), "cut off at {len}");
        }
    }

    #[test]
    fn model_format_version_1_is_read_and_3_is_refused() {
        let plan = plan(|_| ());
        let with_format = |digit: &str| {
            let mut bytes = actor(&plan);
            let offset = bytes.windows(17).position(|window| window == br#"format_version\":"#).unwrap() + 17;
            bytes[offset] = digit.as_bytes()[0];
            bytes
        };
        assert!(!read(&with_format("1"), &plan).unwrap_or_else(|problem| panic!("{problem}")).has_checksum);
        assert_eq!(read(&with_format("3"), &plan).err().unwrap(), "is of format 3, and this recsim reads 2");
    }

    #[test]
    fn model_of_other_settings_is_refused_and_the_key_named() {
        let bytes = actor(&plan(|_| ()));
        let problem = |change: fn(&mut Config)| read(&bytes, &plan(change)).err().unwrap();
        assert_eq!(
            problem(|config| config.environment.max_action = 2.0),
            "has `max_action` 1.0, where the run's settings ask for 2.0"
        );
        assert!(
            problem(|config| config.td3.normalize_beliefs = !config.td3.normalize_beliefs).contains("`beliefs`")
        );
        assert!(problem(|config| config.td3.hidden_sizes = vec![3]).contains("`widths`"));
        let dot = |config: &mut Config| {
            config.recommendation.similarity_metric = recsim_core::model::slate::Similarity::Dot;
        };
        assert!(problem(dot).contains("`similarity`"));
        assert!(
            read(&bytes, &plan(|config| config.td3.dropout = 0.0)).is_ok(),
            "dropout does not change an inference"
        );
    }
}
