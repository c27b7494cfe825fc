//! The kernels' sources. A unit becomes one text, the same for NVRTC and for a C++ compiler.

/// The source of a unit with the files that it includes, each file once, and `#line` directives.
pub(crate) fn unit_source(unit: &str) -> String {
    let mut text = String::new();
    append(unit, &mut Vec::new(), &mut text);
    text
}

fn append<'a>(name: &'a str, included: &mut Vec<&'a str>, text: &mut String) {
    if included.contains(&name) {
        return;
    }
    included.push(name);
    let (_, source) = FILES.iter().find(|(file, _)| *file == name).expect("every included file is in `FILES`");
    text.push_str(&format!("#line 1 \"{name}\"\n"));
    for (number, line) in (1..).zip(source.lines()) {
        match line.strip_prefix("#include \"").and_then(|rest| rest.strip_suffix('"')) {
            Some(header) => {
                append(
                    FILES.iter().find(|(file, _)| *file == header).map_or(header, |(file, _)| file),
                    included,
                    text,
                );
                text.push_str(&format!("#line {} \"{name}\"\n", number + 1));
            }
            None if line == "#pragma once" => text.push('\n'),
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
}

/// All units, each with its kernels.
pub(crate) const UNITS: [(&str, &[&str]); 7] = [
    ("adam.cu", &["set_update_params", "grad_norm", "adam_step", "soft_update_targets"]),
    (
        "mlp.cu",
        &[
            "batch_norm_relu",
            "batch_statistics",
            "batch_norm_relu_dropout",
            "bias_scale_shift_grad",
            "pre_bias_grad",
        ],
    ),
    ("observe.cu", &["observe", "explore_items"]),
    ("recommend.cu", &["convert_to_fp16", "search_top_k", "merge_top_k"]),
    ("rerank.cu", &["gather_candidates", "select_candidate"]),
    ("respond.cu", &["respond"]),
    (
        "td3.cu",
        &[
            "set_action_noise",
            "act",
            "sample_minibatch",
            "smooth_target_actions",
            "critic_loss",
            "policy_forward",
            "policy_value",
            "policy_backward",
        ],
    ),
];

/// The kernels of a unit.
pub(crate) fn kernels(unit: &str) -> &'static [&'static str] {
    UNITS.iter().find(|(name, _)| *name == unit).map_or(&[], |(_, kernels)| kernels)
}

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../kernels/", $name)))),*] };
}

const FILES: &[(&str, &str)] = files!(
    "accept.cuh",
    "adam.cu",
    "adam.cuh",
    "belief.cuh",
    "error_bound.cuh",
    "explore.cuh",
    "math.cuh",
    "mlp.cu",
    "observe.cu",
    "recommend.cu",
    "reduce.cuh",
    "replay.cuh",
    "rerank.cu",
    "respond.cu",
    "reward.cuh",
    "rng.cuh",
    "slate.cuh",
    "tally.cuh",
    "td3.cu",
    "td3.cuh",
    "tensor.cuh",
    "update.cuh",
    "user.cuh",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_source_contains_every_file_once_with_line_directives() {
        let respond = unit_source("respond.cu");
        assert_eq!(respond.matches("struct Key {").count(), 1);
        assert!(!respond.contains("#include") && respond.contains("#line 1 \"math.cuh\""));
    }
}
