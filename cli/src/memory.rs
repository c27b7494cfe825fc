//! Refuses what does not fit into memory, before it is allocated: a failed allocation aborts the program without an
//! explanation.

use recsim_core::session::config::Config;
use recsim_core::world::WorldShape;

use crate::error::BadInput;

/// What needs memory, the minimum number of bytes, and the setting that reduces it.
type MemoryUse = (&'static str, f64, &'static str);

/// Checks the arrays of a run against the available memory, if that is known.
///
/// # Errors
/// If they alone exceed it.
pub(crate) fn check(config: &Config, shape: &WorldShape) -> Result<(), BadInput> {
    fits(&run_uses(config, shape))
}

/// Checks the arrays of a world against the available memory. `remedy` names the options that reduce them.
///
/// # Errors
/// If they alone exceed it.
pub(crate) fn check_world(shape: &WorldShape, remedy: &'static str) -> Result<(), BadInput> {
    let ids = [shape.users, shape.items, shape.clusters].map(|count| count as f64).iter().sum::<f64>();
    fits(&[("the world", world(shape) + ids * size_of::<String>() as f64, remedy)])
}

/// Checks the size of a world's file against the available memory.
///
/// # Errors
/// If it exceeds it.
pub(crate) fn check_file(bytes: u64) -> Result<(), BadInput> {
    fits(&[("the world", bytes as f64, "its users, items or pre-trained lists")])
}

/// Checks the normal equations of a factorization, `[D, D]`, against the available memory.
///
/// # Errors
/// If they alone exceed it.
pub(crate) fn check_factorization(dimensions: usize) -> Result<(), BadInput> {
    fits(&[("the factorization", (dimensions as f64) * (dimensions as f64) * FLOAT, "`--dimensions`")])
}

fn fits(uses: &[MemoryUse]) -> Result<(), BadInput> {
    let Some(memory) = memory() else { return Ok(()) };
    let needed: f64 = uses.iter().map(|(_, bytes, _)| bytes).sum();
    let largest = uses.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    match largest {
        Some((what, bytes, remedy)) if needed > memory => {
            let [needed, bytes, memory] = [needed, *bytes, memory].map(|bytes| bytes / GIBIBYTE);
            let problem = format!(
                "this needs {needed:.1} GiB or more, {bytes:.1} GiB of it for {what}, and {memory:.1} GiB are available"
            );
            Err(BadInput::new("memory", problem, format!("reduce {remedy}")))
        }
        _ => Ok(()),
    }
}

/// Bytes of a world's arrays.
fn world(shape: &WorldShape) -> f64 {
    let [users, items, clusters, dimensions, pretrained_len] =
        [shape.users, shape.items, shape.clusters, shape.dimensions, shape.pretrained_len].map(|size| size as f64);
    (users * (clusters + dimensions + pretrained_len) + items * (dimensions + 2.0)) * FLOAT
}

fn run_uses(config: &Config, shape: &WorldShape) -> [MemoryUse; 4] {
    let &WorldShape { clusters, dimensions, .. } = shape;
    let state = clusters + dimensions;
    let weights = |inputs: usize, outputs: usize| -> f64 {
        let mut widths = vec![inputs as f64];
        widths.extend(config.td3.hidden_sizes.iter().map(|&width| f64::from(width)));
        widths.push(outputs as f64);
        widths.windows(2).map(|pair| pair[0] * pair[1]).sum()
    };
    // Each network has a target network and Adam's two moments.
    let networks = 4.0 * (weights(state, dimensions) + 2.0 * weights(state + dimensions, 1));
    // A minibatch of transitions, and the activations of an actor and two critics for it.
    let widths = config.td3.hidden_sizes.iter().map(|&width| f64::from(width)).sum::<f64>();
    let transition = (2 * state + dimensions + 1) as f64;
    let update = f64::from(config.td3.batch_size) * (transition + 3.0 * widths + dimensions as f64 + 2.0);
    // The whole buffer is allocated at the start.
    let replay = config.td3.buffer_size as f64 * (2 * clusters + dimensions + 2) as f64;
    [
        ("the world", world(shape), "`world.users`, `world.items` or `world.dimensions`"),
        ("the networks", networks * FLOAT, "`td3.hidden_sizes`"),
        ("the replay buffer", replay * FLOAT, "`td3.buffer_size`"),
        ("an update", update * FLOAT, "`td3.batch_size`"),
    ]
}

/// The available memory in bytes: the machine's or the limit of the control group, whichever is smaller. `None` if
/// neither is known.
fn memory() -> Option<f64> {
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    // Without a limit the file says `max`.
    let limit = limit.and_then(|text| text.trim().parse().ok());
    [machine_memory(), limit].into_iter().flatten().min_by(f64::total_cmp)
}

fn machine_memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

const FLOAT: f64 = size_of::<f32>() as f64;
const GIBIBYTE: f64 = (1 << 30) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_experiment_uses_about_400_megabytes() {
        let shape = WorldShape { users: 50_000, items: 19_130, clusters: 5, dimensions: 64, pretrained_len: 40 };
        let bytes: f64 = run_uses(&Config::default(), &shape)[..3].iter().map(|(_, bytes, _)| bytes).sum();
        // Values of the world, the networks and the replay buffer, in this order.
        let values = 50_000 * 109 + 19_130 * 66 + 4 * (444_928 + 2 * 461_568) + 1_000_000 * 76;
        assert_eq!(bytes, 4.0 * f64::from(values));
    }

    #[test]
    fn update_uses_its_transitions_and_activations() {
        let shape = WorldShape { users: 1, items: 30, clusters: 3, dimensions: 6, pretrained_len: 30 };
        let mut config = Config::default();
        (config.td3.hidden_sizes, config.td3.batch_size) = (vec![12, 8], 10);
        // Two states of 9, an action of 6 and a reward; 20 units in each of three networks; an action and two Q values.
        assert_eq!(run_uses(&config, &shape)[3].1, 4.0 * 10.0 * f64::from(2 * 9 + 6 + 1 + 3 * 20 + 6 + 2));
    }
}
