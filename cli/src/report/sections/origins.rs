//! Where the numbers come from: configuration, environment, seeds, and the commands that make them again.

use super::overview::status;
use super::{Block, Part, Section, header};
use crate::config::plain;
use crate::device::About;
use crate::output::{counted, thousands};
use crate::report::sources::{Named, Sources};
use crate::report::trained::Trained;
use crate::source::Provenance;

pub(super) fn of(sources: &Sources) -> Section {
    let runs = sources.runs.iter().flat_map(run);
    let evaluations = sources.evaluations.iter().flat_map(evaluation);
    let words = "Configuration, environment and seeds. The same settings, seed and instruction set on the same backend give the \
                 same numbers to the last bit, but for the times.";
    Section::There(Part {
        id: "origins",
        title: "How to make it again",
        words: words.to_owned(),
        blocks: runs.chain(evaluations).collect(),
    })
}

fn run(run: &Trained) -> Vec<Block> {
    let record = &run.run;
    let mut facts = vec![
        ("recsim", record.version.clone()),
        ("started, ended (UTC)", {
            let ended = run.end.as_ref().map_or("-", |end| &end.ended);
            format!("{}, {ended}: {}", record.started, status(run))
        }),
        ("seed", record.seed.to_string()),
        ("computed by", computed_by(&record.device)),
        ("world", world(&record.world)),
        ("users served in a round", thousands(record.users_per_round as u64)),
    ];
    for again in &record.resumed {
        let changes = if again.changes.is_empty() { "nothing" } else { &*again.changes.join(", ") };
        facts.push((
            "gone on with",
            format!("{} after {}; changed: {changes}", again.at, counted(again.rounds as usize, "round")),
        ));
    }
    vec![
        Block::Heading(run.name.clone()),
        table(facts),
        Block::Command("recsim train --config config.yaml --out runs/again".to_owned()),
        Block::File { name: "config.yaml".to_owned(), text: run.settings.clone() },
    ]
}

fn evaluation(Named { name, evaluation }: &Named) -> Vec<Block> {
    let seeds: Vec<String> = evaluation.seeds.iter().map(ToString::to_string).collect();
    let facts = vec![
        ("recsim", evaluation.recsim.clone()),
        ("written (UTC)", evaluation.timestamp.clone()),
        ("seeds", seeds.join(", ")),
        ("computed by", computed_by(&evaluation.device)),
        ("world", world(&evaluation.world)),
        ("users served in a round", thousands(evaluation.users as u64)),
        ("items of a slate", format!("{} of {} chosen by the policy", evaluation.chosen, evaluation.shown)),
        ("intervals", format!("of {} resamples, users in {} blocks", evaluation.resamples, evaluation.blocks)),
    ];
    vec![
        Block::Heading(name.clone()),
        table(facts),
        Block::Command(format!("{} --out evaluation.json", evaluation.command)),
        Block::File { name: "config.yaml".to_owned(), text: plain(&evaluation.config) },
    ]
}

fn table(facts: Vec<(&str, String)>) -> Block {
    let rows = facts.into_iter().map(|(name, fact)| vec![name.to_owned(), fact]).collect();
    Block::Table { header: header(&[]), rows }
}

fn computed_by(device: &About) -> String {
    format!("{}, {}, {}", device.backend, counted(device.threads, "thread"), device.instruction_set)
}

fn world(world: &Provenance) -> String {
    let checksum = world.checksum.as_ref().map_or(String::new(), |checksum| format!(", SHA-256 {checksum}"));
    format!(
        "{}: {}, {}, {}, {}{checksum}",
        world.path.as_deref().unwrap_or("generated"),
        counted(world.users, "user"),
        counted(world.items, "item"),
        counted(world.clusters, "cluster"),
        counted(world.dimensions, "dimension"),
    )
}
