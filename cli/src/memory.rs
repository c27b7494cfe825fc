//! Refuses what the machine cannot hold: an allocator that finds no memory ends the program without a word.

use recsim_core::config::Config;
use recsim_core::world::Shape;

use crate::error::BadInput;

/// Refuses a run whose tables alone exceed the machine's memory, where that is known.
pub(crate) fn check(config: &Config, shape: &Shape, served: usize) -> Result<(), BadInput> {
    let Some(memory) = memory() else { return Ok(()) };
    let parts = parts(config, shape, served);
    let needed: f64 = parts.iter().map(|(_, bytes, _)| bytes).sum();
    let largest = parts.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    match largest {
        Some((what, bytes, remedy)) if needed > memory => {
            let [needed, bytes, memory] = [needed, *bytes, memory].map(|bytes| bytes / GIBIBYTE);
            let problem = format!(
                "this needs at least {needed:.1} GiB, {bytes:.1} GiB of it for {what}, and the machine has {memory:.1} GiB"
            );
            Err(BadInput::new("memory", problem, format!("reduce {remedy}")))
        }
        _ => Ok(()),
    }
}

/// What takes memory, how many bytes at least, and what would make it less.
fn parts(config: &Config, shape: &Shape, served: usize) -> [(&'static str, f64, &'static str); 3] {
    let &Shape { users, items, clusters, dimensions, list } = shape;
    let float = size_of::<f32>() as f64;
    let world = users as f64 * (clusters + dimensions + list) as f64 + items as f64 * (dimensions + 2) as f64;
    let state = clusters + dimensions;
    let weights = |inputs: usize, outputs: usize| -> f64 {
        let mut widths = vec![inputs as f64];
        widths.extend(config.td3.hidden.iter().map(|&width| f64::from(width)));
        widths.push(outputs as f64);
        widths.windows(2).map(|pair| pair[0] * pair[1]).sum()
    };
    // A network, its target and two moments.
    let networks = 4.0 * (weights(state, dimensions) + 2.0 * weights(state + dimensions, 1));
    let training = &config.training;
    let rounds = f64::from(training.episodes) * f64::from(training.rounds_per_episode);
    let transitions = (config.td3.replay_capacity as f64).min(rounds * served as f64);
    let replay = transitions * (2 * clusters + dimensions + 2) as f64;
    [
        ("the world", world * float, "`world.users`, `world.items` or `world.dim`"),
        ("the networks", networks * float, "`td3.hidden`"),
        ("the replay ring", replay * float, "`td3.replay_capacity`"),
    ]
}

/// The machine's memory in bytes, where it says so.
fn memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

const GIBIBYTE: f64 = (1 << 30) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_experiment_takes_about_four_hundred_megabytes() {
        let shape = Shape { users: 50_000, items: 19_130, clusters: 5, dimensions: 64, list: 40 };
        let bytes: f64 = parts(&Config::default(), &shape, 50_000).iter().map(|(_, bytes, _)| bytes).sum();
        // 50,000 * 109 + 19,130 * 66 numbers of the world, 4 * (444,928 + 2 * 461,568) of the networks, 10^6 * 76 of the ring.
        let numbers = 50_000 * 109 + 19_130 * 66 + 4 * (444_928 + 2 * 461_568) + 1_000_000 * 76;
        assert_eq!(bytes, 4.0 * f64::from(numbers));
    }
}
