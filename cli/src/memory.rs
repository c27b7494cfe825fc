//! Refuses what the machine cannot hold: an allocator that finds no memory ends the program without a word.

use recsim_core::session::config::Config;
use recsim_core::world::WorldShape;

use crate::error::BadInput;

/// What takes memory, how many bytes at least, and what would make it less.
type Part = (&'static str, f64, &'static str);

/// Refuses a run whose tables alone exceed the memory there is, where that is known.
pub(crate) fn check(config: &Config, shape: &WorldShape) -> Result<(), BadInput> {
    fits(&parts(config, shape))
}

/// Refuses a world whose tables alone exceed the memory there is; `remedy` says what would make it smaller.
pub(crate) fn check_world(shape: &WorldShape, remedy: &'static str) -> Result<(), BadInput> {
    let ids = [shape.users, shape.items, shape.clusters].map(|count| count as f64).iter().sum::<f64>();
    fits(&[("the world", world(shape) + ids * size_of::<String>() as f64, remedy)])
}

/// Refuses a world's file of more bytes than the memory there is.
pub(crate) fn check_file(bytes: u64) -> Result<(), BadInput> {
    fits(&[("the world", bytes as f64, "its users, items or lists")])
}

/// Refuses a factorisation whose normal equations alone, `[D, D]`, exceed the memory there is.
pub(crate) fn check_factorisation(dimensions: usize) -> Result<(), BadInput> {
    fits(&[("the factorisation", (dimensions as f64) * (dimensions as f64) * FLOAT, "`--dim`")])
}

fn fits(parts: &[Part]) -> Result<(), BadInput> {
    let Some(memory) = memory() else { return Ok(()) };
    let needed: f64 = parts.iter().map(|(_, bytes, _)| bytes).sum();
    let largest = parts.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    match largest {
        Some((what, bytes, remedy)) if needed > memory => {
            let [needed, bytes, memory] = [needed, *bytes, memory].map(|bytes| bytes / GIBIBYTE);
            let problem = format!(
                "this needs at least {needed:.1} GiB, {bytes:.1} GiB of it for {what}, and there are {memory:.1} GiB"
            );
            Err(BadInput::new("memory", problem, format!("reduce {remedy}")))
        }
        _ => Ok(()),
    }
}

/// A world's tensors in bytes.
fn world(shape: &WorldShape) -> f64 {
    let [users, items, clusters, dimensions, list] =
        [shape.users, shape.items, shape.clusters, shape.dimensions, shape.pretrained_len].map(|size| size as f64);
    (users * (clusters + dimensions + list) + items * (dimensions + 2.0)) * FLOAT
}

fn parts(config: &Config, shape: &WorldShape) -> [Part; 4] {
    let &WorldShape { clusters, dimensions, .. } = shape;
    let state = clusters + dimensions;
    let weights = |inputs: usize, outputs: usize| -> f64 {
        let mut widths = vec![inputs as f64];
        widths.extend(config.td3.hidden_sizes.iter().map(|&width| f64::from(width)));
        widths.push(outputs as f64);
        widths.windows(2).map(|pair| pair[0] * pair[1]).sum()
    };
    // A network, its target and two moments.
    let networks = 4.0 * (weights(state, dimensions) + 2.0 * weights(state + dimensions, 1));
    // An update's transitions, and what each layer of an actor and two critics gives for them.
    let widths = config.td3.hidden_sizes.iter().map(|&width| f64::from(width)).sum::<f64>();
    let transition = (2 * state + dimensions + 1) as f64;
    let update = f64::from(config.td3.batch_size) * (transition + 3.0 * widths + dimensions as f64 + 2.0);
    // All of its room is taken at once.
    let replay = config.td3.buffer_size as f64 * (2 * clusters + dimensions + 2) as f64;
    [
        ("the world", world(shape), "`world.users`, `world.items` or `world.dimensions`"),
        ("the networks", networks * FLOAT, "`td3.hidden_sizes`"),
        ("the replay ring", replay * FLOAT, "`td3.buffer_size`"),
        ("an update", update * FLOAT, "`td3.batch_size`"),
    ]
}

/// The memory in bytes that there is: the machine's, or what this program may have of it, where either is known.
fn memory() -> Option<f64> {
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    // Without a limit the file says `max`.
    let limit = limit.and_then(|text| text.trim().parse().ok());
    [of_machine(), limit].into_iter().flatten().min_by(f64::total_cmp)
}

fn of_machine() -> Option<f64> {
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
    fn the_reference_experiment_takes_about_four_hundred_megabytes() {
        let shape = WorldShape { users: 50_000, items: 19_130, clusters: 5, dimensions: 64, pretrained_len: 40 };
        let bytes: f64 = parts(&Config::default(), &shape)[..3].iter().map(|(_, bytes, _)| bytes).sum();
        // 50,000 * 109 + 19,130 * 66 numbers of the world, 4 * (444,928 + 2 * 461,568) of the networks, 10^6 * 76 of the ring.
        let numbers = 50_000 * 109 + 19_130 * 66 + 4 * (444_928 + 2 * 461_568) + 1_000_000 * 76;
        assert_eq!(bytes, 4.0 * f64::from(numbers));
    }

    #[test]
    fn an_update_takes_its_transitions_and_what_every_layer_gives() {
        let shape = WorldShape { users: 1, items: 30, clusters: 3, dimensions: 6, pretrained_len: 30 };
        let mut config = Config::default();
        (config.td3.hidden_sizes, config.td3.batch_size) = (vec![12, 8], 10);
        // Two states of 9, an action of 6 and a reward; 20 units in each of three networks; an action and two values.
        assert_eq!(parts(&config, &shape)[3].1, 4.0 * 10.0 * f64::from(2 * 9 + 6 + 1 + 3 * 20 + 6 + 2));
    }
}
