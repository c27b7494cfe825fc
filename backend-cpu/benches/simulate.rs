//! The users' side for a batch of the reference experiment's users, and as an upper bound a matrix product with the
//! search's number of operations.

/// The backend's matrix products, which are not public.
#[path = "../src/gemm.rs"]
#[allow(dead_code, unused_imports, reason = "the library uses all of it, and runs its tests")]
mod gemm_products;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gemm_products::{MatrixView, OutputMode, multiply};
use pulp::Arch;
use rayon::prelude::*;
use recsim_backend_cpu::{Batch, Cpu, World, best_items};
use recsim_core::backend::{Inspect, Simulate};
use recsim_core::model::rng::{Key, Purpose, normal_pair};
use recsim_core::session::config::Config;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, generate};

const USERS: usize = 4000;
const ITEMS: usize = 19_130;
const DIMENSIONS: usize = 64;

fn benchmarks(criterion: &mut Criterion) {
    let config = SyntheticWorldConfig {
        users: USERS,
        items: ITEMS,
        clusters: 5,
        dimensions: DIMENSIONS,
        pretrained_len: 40,
        seed: 0,
    };
    let generated = generate(&config, |items, users, dimensions, list| {
        best_items(items, users, dimensions, list, None).expect("lists")
    });
    let mut cpu = Cpu::new(None).expect("threads");
    let (world, mut batch) = with_normal_actions(&mut cpu, &generated);
    let mut group = criterion.benchmark_group("simulate");
    group.sample_size(20);
    group.bench_function("recommend_4000", |bencher| {
        bencher.iter(|| cpu.recommend(&world, &mut batch).expect("slates"));
    });
    let (_, mut trained_batch) = with_trained_actions(&mut cpu, &generated);
    group.bench_function("recommend_4000_as_a_trained_agent", |bencher| {
        bencher.iter(|| cpu.recommend(&world, &mut trained_batch).expect("slates"));
    });
    let view = generated.view().expect("a generated world is valid");
    let (items, users) = (view.arrays().item_embedding, view.arrays().user_embedding);
    let items = MatrixView::new(items, DIMENSIONS).transposed();
    group.bench_function("gemm_4000", |bencher| {
        bencher.iter(|| {
            let chunks = users.par_chunks_exact(CHUNK * DIMENSIONS);
            chunks.for_each_init(
                || vec![0.0; CHUNK * ITEMS],
                |scores, users| {
                    multiply(
                        Arch::new(),
                        black_box(scores),
                        MatrixView::new(black_box(users), DIMENSIONS),
                        items,
                        OutputMode::Overwrite,
                    );
                },
            );
        });
    });
    let mut round = 0;
    let mut replay = cpu.create_replay(&world, 1_000_000, &Transitions::default()).expect("a replay buffer");
    group.bench_function("respond_4000", |bencher| {
        bencher.iter(|| {
            round += 1;
            let key = Key::new(0, Purpose::Acceptance).fold_in(round);
            cpu.respond(&world, &mut batch, key, Some(&mut replay)).expect("responses");
        });
    });
    group.bench_function("tally_4000", |bencher| {
        bencher.iter(|| cpu.tally(&world, std::slice::from_ref(&batch)).expect("a tally"));
    });
    group.finish();
}

/// A batch with normal actions.
fn with_normal_actions(cpu: &mut Cpu, generated: &OwnedWorld) -> (World, Batch) {
    with_actions(cpu, generated, |_, normal| normal)
}

/// A batch whose actions are near the center of the largest cluster, as a trained agent's are, and closer to each
/// other: many items' scores are nearly equal.
fn with_trained_actions(cpu: &mut Cpu, generated: &OwnedWorld) -> (World, Batch) {
    let view = generated.view().expect("a generated world is valid");
    let arrays = view.arrays();
    let mut center = [0.0; DIMENSIONS];
    let rows = arrays
        .item_embedding
        .chunks_exact(DIMENSIONS)
        .zip(arrays.item_cluster)
        .filter(|(_, cluster)| **cluster == 0);
    let count = rows.clone().count() as f32;
    for (row, _) in rows {
        center.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / count);
    }
    with_actions(cpu, generated, |column, normal| 5.0 * center[column] + 0.3 * normal)
}

/// A batch with actions computed from normal values.
fn with_actions(cpu: &mut Cpu, generated: &OwnedWorld, action: impl Fn(usize, f32) -> f32) -> (World, Batch) {
    let view = generated.view().expect("a generated world is valid");
    let plan = Config::default().plan(&view).expect("the default configuration fits");
    let world = cpu.load_world(&view, &plan.environment).expect("a world");
    let mut batch = cpu.create_batch(&world, 0..USERS).expect("a batch");
    let mut round = cpu.snapshot(&batch).expect("a snapshot");
    for (n, pair) in (0..).zip(round.action.chunks_exact_mut(2)) {
        let normal = normal_pair(Key::new(0, Purpose::Exploration).fold_in(n));
        let column = 2 * n as usize % DIMENSIONS;
        pair.copy_from_slice(&[action(column, normal[0]), action(column + 1, normal[1])]);
    }
    cpu.restore(&mut batch, &round).expect("a restored batch");
    (world, batch)
}

/// Users in one product: few enough that their scores stay in the cache.
const CHUNK: usize = 250;

criterion_group!(simulate, benchmarks);
criterion_main!(simulate);
