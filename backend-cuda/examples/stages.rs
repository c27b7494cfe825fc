//! Measures the stages of a round on a GPU, with the reference experiment's items. Prints one JSON object for each
//! stage.
//!
//! `stages [USERS...]`: a time is a tenth of the time of ten rounds, from one wait for the device to the next, by the
//! host's clock. Every repetition starts with the same actions and beliefs. Above 50,000 users, the world's users
//! repeat.

use std::time::Instant;

use recsim_backend_cpu::best_items;
use recsim_backend_cuda::{Agent, Batch, Cuda, CudaError, Gpu, Replay, World};
use recsim_core::backend::round::{Exploration, RoundKeys, play_round};
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
    let mut user_counts: Vec<usize> =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    if user_counts.is_empty() {
        user_counts.push(50_000);
    }
    let config = SyntheticWorldConfig {
        users: 50_000,
        items: 19_130,
        clusters: 5,
        dimensions: 64,
        pretrained_len: 40,
        seed: 0,
    };
    let world = generate(&config, |items, users, dimensions, len| {
        best_items(items, users, dimensions, len, None).expect("enough memory for the lists")
    });
    user_counts.into_iter().try_for_each(|users| measure(&with_users(&world, users)))
}

fn measure(owned: &OwnedWorld) -> Result<(), Box<dyn std::error::Error>> {
    let world = HostWorld::new(owned.shape, owned.arrays())?;
    let users = owned.shape.users;
    let plan = Config::default().plan(&world)?;
    let mut gpu = Cuda::new()?;
    let gpu_world = gpu.load_world(&world, &plan.environment)?;
    let batch = gpu.create_batch(&gpu_world, 0..users)?;
    let mut snapshot = gpu.snapshot(&batch)?;
    snapshot.action.copy_from_slice(world.arrays().user_embedding);
    let replay = gpu.create_replay(&gpu_world, users.max(1_000_000), &Transitions::default())?;
    let agent = gpu.load_agent(&plan.agent, &plan.agent.initial_agent(0))?;
    let mut round = GpuRound { gpu, world: gpu_world, batch, replay, agent, snapshot };
    for (phase, stage) in [
        ("observe", GpuRound::observe as StageFn),
        ("act", GpuRound::act),
        ("topk", GpuRound::recommend),
        ("respond", GpuRound::respond),
        ("round", GpuRound::round),
    ] {
        let mut milliseconds = Vec::new();
        for repetition in 0..=REPETITIONS {
            round.restart()?;
            let start = Instant::now();
            (0..ROUNDS).try_for_each(|number| stage(&mut round, number))?;
            round.wait()?;
            if repetition > 0 {
                milliseconds.push(start.elapsed().as_secs_f64() * 1e3 / ROUNDS as f64);
            }
        }
        milliseconds.sort_by(f64::total_cmp);
        let (median, min) = (milliseconds[REPETITIONS / 2], milliseconds[0]);
        println!(
            r#"{{"phase":"{phase}","median_ms":{median:.4},"min_ms":{min:.4},"n":{REPETITIONS},"users":{users},{}}}"#,
            format_args!(r#""ns_per_user":{:.3}"#, median * 1e6 / users as f64),
        );
    }
    Ok(())
}

type StageFn = fn(&mut GpuRound, u64) -> Result<(), CudaError>;

/// Everything that a round needs, and the state that every repetition starts from.
struct GpuRound {
    gpu: Cuda,
    world: World<Gpu>,
    batch: Batch<Gpu>,
    replay: Replay<Gpu>,
    agent: Agent<Gpu>,
    snapshot: RoundSnapshot,
}

impl GpuRound {
    /// Starts a repetition: the users' embeddings as actions, initial beliefs, and the states and slates that follow
    /// from them.
    fn restart(&mut self) -> Result<(), CudaError> {
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
        let key = Key::new(0, Purpose::Acceptance).fold_in(round);
        self.gpu.respond(&self.world, &mut self.batch, key, Some(&mut self.replay))
    }

    /// A whole round without training.
    fn round(&mut self, round: u64) -> Result<(), CudaError> {
        let key = |purpose| Key::new(1, purpose).fold_in(round);
        let exploration = Exploration { noise: key(Purpose::Exploration), items: None };
        let keys = RoundKeys { exploration, acceptance: key(Purpose::Acceptance) };
        let Self { gpu, world, agent, batch, replay, .. } = self;
        play_round(gpu, world, agent, batch, replay, &keys, &mut |_| ())?;
        self.wait()
    }

    fn wait(&mut self) -> Result<(), CudaError> {
        self.gpu.tally(&self.world, std::slice::from_ref(&self.batch)).map(drop)
    }
}

/// The world with its users repeated up to `users`.
fn with_users(world: &OwnedWorld, users: usize) -> OwnedWorld {
    let rows = |matrix: &[f32], width: usize| matrix.iter().copied().cycle().take(users * width).collect();
    let WorldShape { clusters, dimensions, pretrained_len, .. } = world.shape;
    OwnedWorld {
        shape: WorldShape { users, ..world.shape },
        user_belief: rows(&world.user_belief, clusters),
        user_embedding: rows(&world.user_embedding, dimensions),
        user_pretrained: world.user_pretrained.iter().copied().cycle().take(users * pretrained_len).collect(),
        ..world.clone()
    }
}
