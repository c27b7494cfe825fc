//! `models/*.safetensors`: networks by the names PyTorch would give their tensors.
//!
//! The file's metadata has one entry, `recsim`, a JSON object that says what the network is of and holds the file's
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
use super::seal;
use super::tables::{self, Tables};

/// Writes the three networks and their targets into `folder`: none is replaced before all are on the disk.
pub(crate) fn write(folder: &Path, plan: &Plan, agent: &AgentState) -> anyhow::Result<()> {
    let spec = &plan.agent;
    let tables = named_arrays(spec, agent);
    let mut replacements = Vec::new();
    for (stem, layout) in model_layouts(spec) {
        let of_stem =
            |table: &&NamedArray<'_>| table.name.split_once('.').is_some_and(|(prefix, _)| prefix == stem);
        let views = tables.iter().filter(of_stem).map(|table| (&*table.name, Tensor(table)));
        let mut about = about(layout, plan);
        about.insert(SEAL.to_owned(), seal::ZEROS.into());
        // One entry: a map of several would come out in another order every time.
        let metadata = HashMap::from([(ABOUT.to_owned(), Value::from(about).to_string())]);
        let mut bytes = safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)?;
        seal::put(&mut bytes, SEAL_KEY);
        let path = folder.join(format!("{stem}.safetensors"));
        replacements.push(Replacement::write(&path, |file| file.write_all(&bytes))?);
    }
    replacements.into_iter().try_for_each(Replacement::commit)
}

/// What a model file holds.
pub(crate) struct Model {
    pub(crate) tables: Tables,
    /// Whether the file has a checksum. One that an earlier recsim wrote has none.
    pub(crate) is_sealed: bool,
}

/// The model in the file `path`, as it was written, of this network and of a run of these settings; or what is wrong, in
/// words that follow the file's name.
pub(crate) fn read(path: &Path, layout: &MlpLayout, plan: &Plan) -> Result<Model, String> {
    parse(&super::read(path).map_err(|error| format!("cannot be read: {error}"))?, layout, plan)
}

/// The same of the file's bytes.
pub(crate) fn parse(bytes: &[u8], layout: &MlpLayout, plan: &Plan) -> Result<Model, String> {
    let no_model = |error: &dyn std::fmt::Display| format!("is damaged, or no model: {error}");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| no_model(&error))?;
    let text = metadata.metadata().as_ref().and_then(|entries| entries.get(ABOUT));
    let found: Map<String, Value> = match text {
        Some(text) => serde_json::from_str(text).map_err(|error| no_model(&error))?,
        None => return Err(no_model(&format!("its metadata has no `{ABOUT}`"))),
    };
    let is_sealed = match found.get("format_version").and_then(Value::as_u64) {
        // No single bit makes the one of the other.
        Some(UNSEALED) => false,
        Some(FORMAT_VERSION) if seal::holds(bytes, SEAL_KEY) => true,
        Some(FORMAT_VERSION) => return Err("was changed or is damaged: it differs from its own checksum".into()),
        Some(other) => return Err(format!("is of format {other}, and this recsim reads {FORMAT_VERSION}")),
        None => return Err(no_model(&"it does not say of which format it is")),
    };
    let expected = about(layout, plan);
    let mut described = found.iter().filter(|(key, _)| !OF_LEARNING.contains(&&***key));
    let other = described.find(|(key, value)| expected.get(*key).is_some_and(|expected| expected != *value));
    if let Some((key, value)) = other {
        return Err(format!("has `{key}` {value}, where the run's settings ask for {}", expected[key]));
    }
    Ok(Model { tables: tables::parse(bytes).map_err(|problem| no_model(&problem))?, is_sealed })
}

/// What a reader needs to build the network and to use it.
fn about(layout: &MlpLayout, plan: &Plan) -> Map<String, Value> {
    let spec = &plan.agent;
    let mut widths = vec![layout.inputs()];
    widths.extend(layout.layers().iter().map(|layer| layer.outputs));
    let about = json!({
        "format_version": FORMAT_VERSION,
        "network": layout.name(),
        "widths": widths,
        "batch_norm": layout.running_stats_count() > 0,
        "dropout": spec.td3.dropout,
        "max_action": spec.max_action,
        // What it sees of a belief.
        "beliefs": if plan.environment.normalize_beliefs { "divided by the target" } else { "as they are" },
        // By what its actions find items.
        "similarity": plan.environment.similarity,
    });
    match about {
        Value::Object(about) => about,
        _ => Map::new(),
    }
}

/// Raised when the tables or the description change their meaning. Files of the one before have no checksum.
const FORMAT_VERSION: u64 = 2;
const UNSEALED: u64 = 1;
/// The metadata's entry.
const ABOUT: &str = "recsim";
/// The checksum's key in it.
const SEAL: &str = "sha256";
/// What stands before the checksum: JSON in JSON.
const SEAL_KEY: &str = r#"\"sha256\":\""#;
/// What a network that has learned does not depend on.
const OF_LEARNING: [&str; 2] = ["format_version", "dropout"];

/// A table as safetensors wants it.
pub(crate) struct Tensor<'a>(pub(crate) &'a NamedArray<'a>);

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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use recsim_core::session::checkpoint::restore_model;
    use recsim_core::session::config::Config;
    use recsim_core::world::{SyntheticWorldConfig, brute_force_lists, generate};

    fn plan(change: impl FnOnce(&mut Config)) -> Plan {
        let recipe =
            SyntheticWorldConfig { users: 2, items: 6, clusters: 2, dimensions: 2, pretrained_len: 4, seed: 0 };
        let mut config = Config::default();
        config.td3.hidden_sizes = vec![2];
        (config.recommendation.total_recommendations, config.recommendation.rl_list_size) = (4, 2);
        change(&mut config);
        config.plan(&generate(&recipe, brute_force_lists).view().unwrap()).unwrap()
    }

    /// A run's actor as it is written.
    fn actor(plan: &Plan) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), plan, &plan.agent.initial_agent(3)).unwrap();
        fs::read(folder.path().join("actor.safetensors")).unwrap()
    }

    fn read(bytes: &[u8], plan: &Plan) -> Result<Model, String> {
        parse(bytes, &plan.agent.actor, plan)
    }

    #[test]
    fn a_model_comes_back_and_no_bit_of_it_can_change() {
        let plan = plan(|_| ());
        let whole = actor(&plan);
        let model = read(&whole, &plan).unwrap_or_else(|problem| panic!("{problem}"));
        let find = |name: &str| tables::find(&model.tables, name);
        assert_eq!(restore_model(&plan.agent.actor, find).unwrap(), plan.agent.initial_agent(3).networks[0]);
        assert!(model.is_sealed);
        for bit in 0..8 * whole.len() {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&changed, &plan).is_err_and(|problem| !problem.is_empty()), "bit {bit}");
        }
        for length in 0..whole.len() {
            assert!(read(&whole[..length], &plan).is_err(), "cut off at {length}");
        }
    }

    #[test]
    fn a_model_of_an_earlier_format_is_read_and_one_of_a_later_is_refused() {
        let plan = plan(|_| ());
        let of_format = |digit: &str| {
            let mut bytes = actor(&plan);
            let place = bytes.windows(17).position(|window| window == br#"format_version\":"#).unwrap() + 17;
            bytes[place] = digit.as_bytes()[0];
            bytes
        };
        assert!(!read(&of_format("1"), &plan).unwrap_or_else(|problem| panic!("{problem}")).is_sealed);
        assert_eq!(read(&of_format("3"), &plan).err().unwrap(), "is of format 3, and this recsim reads 2");
    }

    #[test]
    fn a_model_of_other_settings_is_refused_by_what_is_other() {
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
        assert!(read(&bytes, &plan(|config| config.td3.dropout = 0.0)).is_ok(), "of learning alone");
    }
}
