//! How long the stages of a round take on a GPU, for the reference experiment's items: JSON lines like the peers'.
//!
//! `stages [USERS...]`: a time is that of ten rounds between two waits for the device, by the host's clock, over ten. Every
//! repetition begins with the same actions and beliefs. More than 50,000 users are the same ones again and again.

use std::time::Instant;

use recsim_backend_cpu::best_items;
use recsim_backend_cuda::{Agent, Batch, Cuda, CudaError, Replay, World};
use recsim_core::backend::{Inspect, Learn, RoundSnapshot, Simulate};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::session::config::Config;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, World as HostWorld, WorldShape, generate};

const ROUNDS: u64 = 10;
const REPETITIONS: usize = 7;

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut counts: Vec<usize> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    if counts.is_empty() {
        counts.push(50_000);
    }
    let recipe = SyntheticWorldConfig {
        users: 50_000,
        items: 19_130,
        clusters: 5,
        dimensions: 64,
        pretrained_len: 40,
        seed: 0,
    };
    let arrays = generate(&recipe, |items, users, dimensions, list| {
        best_items(items, users, dimensions, list, None).expect("there is memory for lists")
    });
    counts.into_iter().try_for_each(|users| measure(&repeated(&arrays, users)))
}

fn measure(arrays: &OwnedWorld) -> Result<(), Box<dyn std::error::Error>> {
    let world = HostWorld::new(arrays.shape, arrays.arrays())?;
    let users = arrays.shape.users;
    let plan = Config::default().plan(&world)?;
    let mut gpu = Cuda::new()?;
    let on_gpu = gpu.load_world(&world, &plan.environment)?;
    let batch = gpu.create_batch(&on_gpu, 0..users)?;
    let mut snapshot = gpu.snapshot(&batch)?;
    snapshot.action.copy_from_slice(world.arrays().user_embedding);
    let replay = gpu.create_replay(&on_gpu, users.max(1_000_000), &Transitions::default())?;
    let agent = gpu.load_agent(&plan.agent, &plan.agent.initial_agent(0))?;
    let mut stages = Stages { gpu, world: on_gpu, batch, replay, agent, snapshot };
    for (phase, stage) in [
        ("observe", Stages::observe as Stage),
        ("act", Stages::act),
        ("topk", Stages::recommend),
        ("respond", Stages::respond),
        ("round", Stages::round),
    ] {
        let mut milliseconds = Vec::new();
        for repetition in 0..=REPETITIONS {
            stages.begin()?;
            let began = Instant::now();
            (0..ROUNDS).try_for_each(|round| stage(&mut stages, round))?;
            stages.wait()?;
            if repetition > 0 {
                milliseconds.push(began.elapsed().as_secs_f64() * 1e3 / ROUNDS as f64);
            }
        }
        milliseconds.sort_by(f64::total_cmp);
        let (median, least) = (milliseconds[REPETITIONS / 2], milliseconds[0]);
        println!(
            r#"{{"phase":"{phase}","median_ms":{median:.4},"min_ms":{least:.4},"n":{REPETITIONS},"users":{users},"ns_per_user":{:.3}}}"#,
            median * 1e6 / users as f64,
        );
    }
    Ok(())
}

type Stage = fn(&mut Stages, u64) -> Result<(), CudaError>;

struct Stages {
    gpu: Cuda,
    world: World<recsim_backend_cuda::Gpu>,
    batch: Batch<recsim_backend_cuda::Gpu>,
    replay: Replay<recsim_backend_cuda::Gpu>,
    agent: Agent<recsim_backend_cuda::Gpu>,
    snapshot: RoundSnapshot,
}

impl Stages {
    /// The beginning of every repetition: the users' tastes as actions, initial beliefs, and states and slates of them.
    fn begin(&mut self) -> Result<(), CudaError> {
        self.gpu.restore(&mut self.batch, &self.snapshot)?;
        self.gpu.reset(&self.world, &mut self.batch)?;
        self.observe(0)?;
        self.recommend(0)?;
        self.wait()
    }

    fn observe(&mut self, _: u64) -> Result<(), CudaError> {
        self.gpu.observe(&self.world, &mut self.batch)
    }

    fn act(&mut self, round: u64) -> Result<(), CudaError> {
        let key = Key::new(1, Purpose::Exploration).fold_in(round);
        self.gpu.act(&self.agent, &mut self.batch, Some(key))
    }

    fn recommend(&mut self, _: u64) -> Result<(), CudaError> {
        self.gpu.recommend(&self.world, &mut self.batch)
    }

    fn respond(&mut self, round: u64) -> Result<(), CudaError> {
        let luck = Key::new(0, Purpose::Acceptance).fold_in(round);
        self.gpu.respond(&self.world, &mut self.batch, luck, Some(&mut self.replay))
    }

    /// All of it, without learning.
    fn round(&mut self, round: u64) -> Result<(), CudaError> {
        self.observe(round)?;
        self.act(round)?;
        self.recommend(round)?;
        self.respond(round)?;
        self.wait()
    }

    fn wait(&mut self) -> Result<(), CudaError> {
        self.gpu.tally(&self.world, std::slice::from_ref(&self.batch)).map(drop)
    }
}

/// The same world with its users again and again, until there are `users`.
fn repeated(arrays: &OwnedWorld, users: usize) -> OwnedWorld {
    let rows = |table: &[f32], width: usize| table.iter().copied().cycle().take(users * width).collect();
    let WorldShape { clusters, dimensions, pretrained_len: list, .. } = arrays.shape;
    OwnedWorld {
        shape: WorldShape { users, ..arrays.shape },
        user_belief: rows(&arrays.user_belief, clusters),
        user_embedding: rows(&arrays.user_embedding, dimensions),
        user_pretrained: arrays.user_pretrained.iter().copied().cycle().take(users * list).collect(),
        ..arrays.clone()
    }
}
