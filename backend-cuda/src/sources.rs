//! The kernels' sources, each unit made into one text: the same for NVRTC and for a C++ compiler.

/// A unit of kernels with everything it includes, every file once, and lines that say where they are from.
pub(crate) fn unit(name: &str) -> String {
    let mut text = String::new();
    append(name, &mut Vec::new(), &mut text);
    text
}

fn append<'a>(name: &'a str, seen: &mut Vec<&'a str>, text: &mut String) {
    if seen.contains(&name) {
        return;
    }
    seen.push(name);
    let (_, source) = FILES.iter().find(|(file, _)| *file == name).expect("kernels include files that are there");
    text.push_str(&format!("#line 1 \"{name}\"\n"));
    for (number, line) in (1..).zip(source.lines()) {
        match line.strip_prefix("#include \"").and_then(|rest| rest.strip_suffix('"')) {
            Some(included) => {
                append(
                    FILES.iter().find(|(file, _)| *file == included).map_or(included, |(file, _)| file),
                    seen,
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

/// The units there are, each with its kernels.
pub(crate) const UNITS: [(&str, &[&str]); 7] = [
    ("adam.cu", &["tell", "measure", "descend", "follow"]),
    ("mlp.cu", &["evaluate", "moments", "activate", "back_to_column", "back_to_sums"]),
    ("observe.cu", &["observe", "explore_items"]),
    ("recommend.cu", &["halve", "scan", "merge"]),
    ("refine.cu", &["consider", "prefer"]),
    ("respond.cu", &["respond"]),
    (
        "td3.cu",
        &["explore", "act", "sample", "smooth_targets", "criticise", "propose", "appraise", "back_to_policy"],
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
    "explore.cuh",
    "margin.cuh",
    "math.cuh",
    "mlp.cu",
    "observe.cu",
    "recommend.cu",
    "reduce.cuh",
    "refine.cu",
    "replay.cuh",
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
    fn a_unit_holds_every_file_once_and_says_where_lines_are_from() {
        let respond = unit("respond.cu");
        assert_eq!(respond.matches("struct Key {").count(), 1);
        assert!(!respond.contains("#include") && respond.contains("#line 1 \"math.cuh\""));
    }
}
