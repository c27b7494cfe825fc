//! How long the users' side takes on a GPU, for the reference experiment's sizes: JSON lines like the peers'.
//!
//! `stages [USERS]`; every time includes waiting for the device, once for ten rounds.

use std::time::Instant;

use recsim_backend_cpu::{Cpu, best_items};
use recsim_backend_cuda::Cuda;
use recsim_core::backend::{Inspect, Simulate, Snapshot};
use recsim_core::config::Config;
use recsim_core::rng::{Key, Purpose, normal_pair};
use recsim_core::world::{Recipe, generate};

const ROUNDS: u32 = 10;
const REPETITIONS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let users = std::env::args().nth(1).map_or(Ok(50_000), |text| text.parse())?;
    let recipe = Recipe { users, items: 19_130, clusters: 5, dimensions: 64, list: 40, seed: 0 };
    let generated = generate(&recipe, |items, users, dimensions, list| {
        best_items(items, users, dimensions, list, None).expect("there is memory for lists")
    });
    let world = generated.view();
    let environment = Config::default().plan(&world)?.environment;

    let mut gpu = Cuda::new()?;
    let on_gpu = gpu.world(&world, &environment)?;
    let mut batch = gpu.batch(&on_gpu, 0..users)?;
    let mut snapshot = gpu.snapshot(&batch)?;
    // Actions around the users' tastes, as a policy's are.
    let key = Key::new(1, Purpose::Exploration);
    for (place, (action, taste)) in snapshot.action.iter_mut().zip(world.parts().user_embedding).enumerate() {
        *action = (taste + 0.1 * normal_pair(key.with(place as u64))[0]).clamp(-1.0, 1.0);
    }
    gpu.restore(&mut batch, &snapshot)?;

    let mut cpu = Cpu::new(None)?;
    let on_cpu = cpu.world(&world, &environment)?;
    let mut beside = cpu.batch(&on_cpu, 0..users)?;
    cpu.restore(&mut beside, &snapshot)?;
    let luck = Key::new(0, Purpose::Acceptance).with(1);
    for round in 0..3 {
        let [found, due] = [
            served(&mut gpu, &on_gpu, &mut batch, luck.with(round))?,
            served(&mut cpu, &on_cpu, &mut beside, luck.with(round))?,
        ];
        assert!(found == due, "round {round} differs from the CPU's");
    }
    println!(r#"{{"phase":"agreement","rounds":3,"users":{users},"differences":0}}"#);

    for (phase, stage) in [("observe", 0), ("topk", 1), ("step", 2), ("round", 3)] {
        let mut milliseconds = Vec::new();
        for repetition in 0..=REPETITIONS {
            gpu.tally(&on_gpu, std::slice::from_ref(&batch))?;
            let began = Instant::now();
            for round in 0..ROUNDS {
                if stage == 0 || stage == 3 {
                    gpu.observe(&on_gpu, &mut batch)?;
                }
                if stage == 1 || stage == 3 {
                    gpu.recommend(&on_gpu, &mut batch)?;
                }
                if stage == 2 || stage == 3 {
                    gpu.respond(&on_gpu, &mut batch, luck.with(u64::from(round)))?;
                }
            }
            gpu.tally(&on_gpu, std::slice::from_ref(&batch))?;
            if repetition > 0 {
                milliseconds.push(began.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS));
            }
        }
        milliseconds.sort_by(f64::total_cmp);
        println!(
            r#"{{"phase":"{phase}","median_ms":{:.4},"min_ms":{:.4},"n":{REPETITIONS},"users":{users}}}"#,
            milliseconds[REPETITIONS / 2],
            milliseconds[0],
        );
    }
    Ok(())
}

fn served<B: Simulate + Inspect>(
    backend: &mut B,
    world: &B::World,
    batch: &mut B::Batch,
    luck: Key,
) -> Result<Snapshot, B::Error> {
    backend.observe(world, batch)?;
    backend.recommend(world, batch)?;
    backend.respond(world, batch, luck)?;
    backend.snapshot(batch)
}
